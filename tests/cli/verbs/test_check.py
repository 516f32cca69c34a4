"""`check`: each thing that can be wrong, told with what mends it, before a worker is started."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import pytest
from pydantic import TypeAdapter

from gyoza_tui.backends.docker.place import USUAL
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import HeartbeatRequest
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.state_dir.state_dir import JOURNAL, StateDir
from gyoza_tui.worker.view.check import Check
from gyoza_tui.worker_dirs import worker_dir
from tests.cli.conftest import Verb
from tests.commands import Started, installed
from tests.scripted_server import Reply, ScriptedServer, refusal
from tests.servers import KEY, SUBMIT_KEY, WORK_KEY, ServerThread
from tests.waiting import until

ENGINE = os.environ.get("DOCKER_HOST")
NO_DOCKER = "unix:///nowhere/docker.sock"
NAMES = ["server", "key", "clock", "docker", "local", "GPUs", "GPU runtime", "disk", "state", "settings"]


def _checks(verb: Verb, *flags: str) -> tuple[int, dict[str, Check]]:
    told = verb("check", "--json", *flags)
    found = TypeAdapter(list[Check]).validate_json(told.out)
    return told.code, {each.name: each for each in found}


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these tests none is about Docker, which may be slow, or not here."""
    monkeypatch.setenv("DOCKER_HOST", NO_DOCKER)
    monkeypatch.setenv("GYOZA_MIN_FREE_MB", "0")


def test_all_that_a_worker_needs_is_judged(verb: Verb, served: ServerThread, clean_environment: Path) -> None:
    code, found = _checks(verb)
    assert list(found) == NAMES
    assert found["server"].text.startswith(f"{served.url} answers in ")
    failed = {name for name, check in found.items() if check.state == "failed"}
    assert (code, failed) == (1, {"docker"})
    assert "DOCKER_HOST=" in found["docker"].mend
    assert not (clean_environment / "state").exists(), "it made nothing"
    assert served.client.list_workers() == [], "and said nothing"


def test_as_a_person_reads_it(verb: Verb, served: ServerThread) -> None:
    told = verb("check")
    lines = told.out.splitlines()
    assert lines[0].startswith("ok       server ")
    (docker,) = (line for line in lines if line.startswith("FAILED   docker "))
    assert lines[lines.index(docker) + 1].strip().startswith("install Docker, or sudo systemctl start docker")
    assert "\x1b" not in told.out


def _no_such_socket(*_: object) -> None:
    raise FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize("by_name", [True, False])
def test_where_only_local_ops_are_set_up_docker_is_no_need(
    verb: Verb, served: ServerThread, clean_environment: Path, monkeypatch: pytest.MonkeyPatch, *, by_name: bool
) -> None:
    """Unless DOCKER_HOST names an engine."""
    (clean_environment / "ops.toml").write_text('[ops.say]\ncommand = ["true"]\n')
    monkeypatch.setenv("GYOZA_OPS_FILE", "ops.toml")
    before = _checks(verb)[1]["docker"]
    if not by_name:
        monkeypatch.delenv("DOCKER_HOST")
        monkeypatch.setattr("gyoza_tui.backends.docker.engine.connect_unix", _no_such_socket)
    code, found = _checks(verb)
    assert (code, found["docker"].state) == ((1, "failed") if by_name else (0, "warning"))
    assert found["docker"].mend == before.mend
    (clean_environment / "ops.toml").write_text("")
    assert _checks(verb)[1]["docker"].state == "failed"


def test_logins_that_cannot_be_read_are_warned_of(
    verb: Verb, served: ServerThread, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where HOME is another user's: the CLI goes on without them too."""
    monkeypatch.setenv("DOCKER_CONFIG", str(clean_environment))
    (clean_environment / "config.json").mkdir()
    logins = _checks(verb)[1]["logins"]
    assert (logins.state, logins.text) == (
        "warning",
        f"{clean_environment}/config.json cannot be read: Is a directory; no Docker login is used",
    )
    assert "DOCKER_CONFIG=" in logins.mend


def test_no_server(verb: Verb) -> None:
    code, found = _checks(verb, "--server", "http://127.0.0.1:1")
    assert (code, found["server"].state, found["key"].state) == (1, "failed", "waiting")
    assert "gyoza-tui serve" in found["server"].mend


def test_a_wrong_key(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", "wrong")
    _, found = _checks(verb)
    assert (found["server"].state, found["key"].state) == ("ok", "failed")
    assert "GYOZA_API_KEY_FILE=" in found["key"].mend


def test_a_key_that_may_not_work(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", SUBMIT_KEY)
    code, found = _checks(verb)
    assert (code, found["server"].state, found["key"].state) == (1, "ok", "failed")
    good_for = "a submit key, good for submitting runs and for definitions; a worker needs a work key or the admin key"
    assert found["key"].text == good_for
    assert "work key" in found["key"].mend
    with contextlib.closing(StateDir.open(Path("state"), "desk")):
        assert _checks(verb)[1]["key"].text == good_for, "also while the worker runs, by another key"


@pytest.mark.parametrize(
    ("key", "good_for"), [(KEY, "an admin key, good for everything"), (WORK_KEY, "a work key, good for a worker")]
)
def test_what_a_key_is_good_for(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch, key: str, good_for: str
) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", key)
    assert _checks(verb)[1]["key"].text == f"the server takes it: {good_for}"


def test_something_else_at_that_address(verb: Verb) -> None:
    with ScriptedServer(other=Reply(b"<html>")) as other:
        _, found = _checks(verb, "--server", other.url)
    assert found["server"].mend.startswith("something else answers")


@pytest.mark.parametrize(("hours", "side"), [(-2, "ahead of"), (2, "behind")])
def test_a_clock_that_is_wrong(verb: Verb, hours: int, side: str) -> None:
    def health(_: Any) -> Reply:
        at = datetime.now(UTC) + timedelta(hours=hours)
        return Reply({"status": "ok", "version": "1", "server_time": at.isoformat()})

    with ScriptedServer(other=refusal(404)) as server:
        server.script("other", health, Reply([]))
        _, found = _checks(verb, "--server", server.url)
    assert found["clock"].state == "failed"
    assert f"7200 s {side} the server's" in found["clock"].text
    assert "timedatectl" in found["clock"].mend


def test_a_name_that_another_has(verb: Verb, served: ServerThread) -> None:
    served.client.beat(HeartbeatRequest(worker_id="desk", instance_id="another", epoch=1, hostname="gpu-box"))
    code, found = _checks(verb)
    assert (code, found["server"].state) == (1, "failed")
    assert "held by another process, on gpu-box" in found["server"].text
    assert "--worker-id" in found["server"].mend


def test_ones_own_name_is_free(verb: Verb, served: ServerThread, clean_environment: Path) -> None:
    state_dir = StateDir.open(clean_environment / "state", "desk")
    served.client.beat(HeartbeatRequest(worker_id="desk", instance_id=state_dir.instance_id, epoch=state_dir.epoch))
    _, found = _checks(verb)
    assert found["server"].state == "ok"
    assert "whose worker runs" in found["state"].text
    state_dir.close()
    _, found = _checks(verb)
    assert (found["server"].state, found["state"].text) == ("ok", str(state_dir.root))


def test_a_state_directory_that_cannot_be(verb: Verb, clean_environment: Path) -> None:
    (clean_environment / "file").touch()
    _, found = _checks(verb, "--state-dir", str(clean_environment / "file"))
    assert found["state"].state == "failed"
    assert "is no directory" in found["state"].text
    assert "--state-dir" in found["state"].mend


def test_a_full_disk(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_MIN_FREE_MB", str(2**25))
    _, found = _checks(verb)
    assert found["disk"].state == "failed"
    assert "GYOZA_MIN_FREE_MB=" in found["disk"].mend


def test_a_volume_that_is_not_there(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_ALLOW_VOLUMES", "/nowhere/data")
    _, found = _checks(verb)
    assert (found["volumes"].state, found["volumes"].mend.startswith("mkdir -p /nowhere/data")) == ("failed", True)


def test_a_list_of_ops_that_cannot_be_read(
    verb: Verb, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clean_environment / "ops.toml"
    path.write_text("[ops")
    monkeypatch.setenv("GYOZA_OPS_FILE", str(path))
    _, found = _checks(verb)
    assert (found["local"].state, str(path) in found["local"].text) == ("failed", True)


def test_misspelt_settings(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_MAX_RUN", "3")
    monkeypatch.setenv("GYOZA_ZZZZZZ", "3")
    told = verb("check")
    lines = told.out.splitlines()
    (misspelt,) = (line for line in lines if "GYOZA_MAX_RUN " in line)
    assert misspelt.startswith("FAILED   settings")
    assert 'export GYOZA_MAX_RUNS="$GYOZA_MAX_RUN"; unset GYOZA_MAX_RUN' in lines[lines.index(misspelt) + 1]
    assert any(line.startswith("warning  settings") and "GYOZA_ZZZZZZ" in line for line in lines)


def test_an_env_file_that_is_not_read(verb: Verb, clean_environment: Path) -> None:
    (clean_environment / ".env").write_text("GYOZA_MAX_RUNS=3\n")
    _, found = _checks(verb)
    assert (found["settings"].state, found["settings"].text) == (
        "warning",
        f"{clean_environment / '.env'} has settings, but is not read",
    )
    assert "--env-file .env" in found["settings"].mend
    _, found = _checks(verb, "--env-file", ".env")
    assert found["settings"].state == "ok"


def test_settings_that_cannot_be_used(verb: Verb, clean_environment: Path) -> None:
    (clean_environment / ".env").write_text("GYOZA_WORKERID=x\nGYOZA_MAX_RUNS=many\n")
    told = verb("check", "--json", "--env-file", ".env")
    found = json.loads(told.out)
    assert told.code == 1
    assert {each["name"] for each in found} == {"settings"}
    assert any("did you mean GYOZA_WORKER_ID?" in each["text"] for each in found)
    assert len(found) == 2, "every fault, not the first alone"


@pytest.fixture
def _an_engine(docker_engine: docker.APIClient, _no_engine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if ENGINE is None:
        monkeypatch.delenv("DOCKER_HOST")
    else:
        monkeypatch.setenv("DOCKER_HOST", ENGINE)


@pytest.mark.docker
@pytest.mark.usefixtures("_an_engine")
def test_docker(verb: Verb) -> None:
    _, found = _checks(verb)
    assert (found["docker"].state, found["docker"].text) == (
        "ok",
        f"answers and starts containers at {ENGINE or USUAL}",
    )


@pytest.mark.docker
@pytest.mark.usefixtures("_an_engine")
def test_runs_on_another_docker_engine(verb: Verb, clean_environment: Path) -> None:
    directory = worker_dir(clean_environment / "state", "w1")
    directory.mkdir(parents=True)
    engine = {"id": "A", "name": "gpu-box", "data": "/var/lib/docker", "address": "tcp://gpu-box:2375"}
    journal = Journal(directory / JOURNAL, SystemClock())
    for number, handle in enumerate(({"id": "c0", "engine": engine}, {"id": "c1", "engine": engine}, {"id": "c2"})):
        row = journal.take("s", OpRun(id=f"r{number}", image="op", attempt=1), "docker")
        journal.update(row.key, handle=handle)
    journal.close()
    _, found = _checks(verb, "--state-dir", str(clean_environment / "state"), "--worker-id", "w1")
    docker_check = found["docker"]
    assert docker_check.state == "warning"
    assert docker_check.text.startswith(
        "answers, but 2 runs are held, they were made on another Docker engine (gpu-box at tcp://gpu-box:2375) than "
    )
    assert docker_check.mend == "point DOCKER_HOST back there, or cancel the run"


def test_the_server_of_a_local_worker_is_found(verb: Verb, clean_environment: Path) -> None:
    flags = ("--local", "--no-ui", "--state-dir", str(clean_environment / "state"))
    with Started(clean_environment, *flags, env={"DOCKER_HOST": NO_DOCKER}) as worker:
        until(lambda: "local answers" in worker.said, "the worker is up")
        _, found = _checks(verb)
    assert (found["server"].state, found["key"].state, found["clock"].state) == ("ok", "ok", "ok")
    assert "whose worker runs" in found["state"].text


def test_the_installed_command(served: ServerThread, tmp_path: Path) -> None:
    told = installed(tmp_path, "check", "--server", served.url, env={"GYOZA_API_KEY": KEY, "DOCKER_HOST": NO_DOCKER})
    assert told.returncode == 1
    assert "the server takes it" in told.stdout
    assert told.stderr == ""


@pytest.mark.docker
def test_an_engine_that_answers_and_starts_nothing(
    verb: Verb,
    served: ServerThread,
    docker_engine: docker.APIClient,
    clean_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", ENGINE or "unix:///var/run/docker.sock")
    monkeypatch.setenv("GYOZA_DOCKER_NETWORK", "none")
    _, found = _checks(verb)
    assert (found["docker"].state, found["docker"].text) == (
        "ok",
        f"answers and starts containers at {ENGINE or USUAL}",
    )
    monkeypatch.setenv("GYOZA_DOCKER_NETWORK", "gyoza-no-such-network")
    code, found = _checks(verb)
    assert (code, found["docker"].state) == (1, "failed")
    assert "network gyoza-no-such-network not found" in found["docker"].text
    assert "GYOZA_DOCKER_NETWORK=" in found["docker"].mend
    assert not docker_engine.containers(all=True, filters={"label": "gyoza.worker=desk"})
    assert not (clean_environment / "state").exists(), "it made nothing"


def test_other_workers_of_this_machine_are_warned_of(verb: Verb, served: ServerThread, clean_environment: Path) -> None:
    assert "workers" not in _checks(verb)[1]
    for worker_id, host in (("by-beat", socket.gethostname()), ("elsewhere", "another-host")):
        served.client.beat(HeartbeatRequest(worker_id=worker_id, hostname=host))
    with contextlib.closing(StateDir.open(clean_environment / "state", "by-lock")):
        found = _checks(verb)[1]["workers"]
    assert (found.state, found.text.partition(" runs")[0]) == ("warning", "worker by-beat, by-lock")


@pytest.mark.parametrize(
    ("settings", "text", "mend"),
    [
        ({"DOCKER_HOST": "ssh://me@box"}, "DOCKER_HOST ssh://me@box: an engine behind ssh", "ssh -NL"),
        ({"DOCKER_HOST": "junk://x"}, "DOCKER_HOST junk://x is not the address of an engine", "unset DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://box"}, "is not the address of an engine", "tcp://host:2376"),
        (
            {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1"},
            "ca.pem, cert.pem, key.pem",
            "DOCKER_CERT_PATH",
        ),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": "gone"}, "the Docker context gone does not exist", "DOCKER_HOST="),
    ],
)
def test_an_engine_that_cannot_be_used_has_its_own_remedy(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], text: str, mend: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    found = _checks(verb)[1]["docker"]
    assert (found.state, text in found.text, mend in found.mend) == ("failed", True, True), found
