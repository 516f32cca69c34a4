"""`submit`: definitions, flags, many runs, waiting and logs. Images by themselves are in test_verbs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.cli.failures import CliError, ExitCode
from gyoza_tui.cli.flags.ad_hoc import AdHoc
from gyoza_tui.cli.printing.live_log import LiveLog
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.definitions import InputSpec, OpDefinition, ValueType
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import ClaimRequest, Feature, HeartbeatRequest
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.cli.conftest import Verb
from tests.commands import COMMAND, environment
from tests.servers import KEY, ServerThread
from tests.waiting import until

TYPES = {kind.value: InputSpec(type=kind, required=False) for kind in ValueType}


def define(server: ServerThread, version: str = "1", **specs: InputSpec) -> None:
    definition = OpDefinition(id="train", version=version, image=f"train:{version}", input_specs=specs)
    server.client.upsert_definition(definition)


def run_of(server: ServerThread, out: str) -> OpRun:
    return server.client.get_run(out.strip())


# definitions


def test_a_definition_types_its_inputs(verb: Verb, served: ServerThread) -> None:
    define(served, "1", **TYPES)
    said = verb(
        *("submit", "train@1", "string=3", "int=3", "float=3", "bool=true", "list=[3]", 'dict={"a": 3}', "any=3"),
        *("--priority", "9"),
    )
    assert said.code == 0, said.err
    run = run_of(served, said.out)
    assert run.inputs == {
        "string": "3", "int": 3, "float": 3, "bool": True, "list": [3], "dict": {"a": 3}, "any": 3
    }  # fmt: skip
    assert (run.op_definition, run.op_version, run.priority, run.image) == ("train", "1", 9, "train:1")


def test_all_inputs_that_do_not_fit_are_told_before_anything_is_sent(verb: Verb, served: ServerThread) -> None:
    define(served, epochs=InputSpec(type=ValueType.INT), rate=InputSpec(type=ValueType.FLOAT, default=0.5),
           name=InputSpec(type=ValueType.STRING), note=InputSpec(required=False))  # fmt: skip
    said = verb("submit", "train@", "epochs=many", "rat=1", "rate=true")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "gyoza-tui: 'rat' is not an input of train\n"
        "epochs must be int, not str\n"
        "rate must be float, not bool\n"
        "name is required (string)\n"
        "inputs of train@1: epochs (int), rate (float, 0.5), name (string), note (any, may be left out)\n"
    )
    assert served.client.list_runs().items == []


def test_a_definition_in_that_version_or_the_latest(verb: Verb, served: ServerThread) -> None:
    define(served, "1", n=InputSpec())
    define(served, "2")
    assert run_of(served, verb("submit", "train@").out).op_version == "2"
    assert run_of(served, verb("submit", "train@1", "n=1").out).op_version == "1"
    bare = verb("submit", "train")
    assert run_of(served, bare.out).op_definition is None, "a bare name is an image"
    assert bare.err == "train is taken as an image; the definition of that name is train@2\n"
    assert verb("submit", "train:2").err == verb("submit", "busybox").err == ""


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ("train@9", 1, "the server has no definition train in version 9: `gyoza-tui definitions` lists"),
        ("other@", 1, "the server has no definition other: `gyoza-tui definitions` lists"),
        ("@1", 2, "TARGET: '' is not an id"),
        ("a b@1", 2, "TARGET: 'a b' is not an id"),
        ("a@1@2", 2, "TARGET: '1@2' is not an id"),
        ("busybox@sha256:12", 2, "IMAGE: 'busybox@sha256:12' is not an image name"),
    ],
)
def test_targets_that_are_none(verb: Verb, served: ServerThread, target: str, code: int, words: str) -> None:
    define(served)
    said = verb("submit", target)
    assert (said.code, said.out) == (code, "")
    assert words in said.err


def test_an_image_by_its_digest_is_no_definition(verb: Verb, served: ServerThread) -> None:
    image = "busybox@sha256:" + "0" * 64
    assert run_of(served, verb("submit", image).out).image == image


def test_a_definition_takes_no_other_flags(verb: Verb, served: ServerThread) -> None:
    define(served)
    flags = {"--cpu": "1", "--ram": "1g", "--vram": "1g", "--gpu": "0", "--tag": "a", "--env": "A=b",
             "--secret-env": "A=b", "--retry": "0", "--timeout": "1m"}  # fmt: skip
    said = verb("submit", "train@1", *(word for pair in flags.items() for word in pair), "--", "true")
    assert said.code == 2
    assert f"leave out -- COMMAND, {', '.join(list(flags)[:-1])} and --timeout" in said.err
    assert "leave out --retry\n" in verb("submit", "train@1", "--retry", "0").err
    assert served.client.list_runs().items == []


# inputs and flags


def test_inputs_of_a_file_of_stdin_and_of_the_line(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("in.json").write_text('{"a": 1, "b": 1, "c": 1}')
    said = verb("submit", "busybox", "b=2", "-i", "c=3", "--inputs", "in.json")
    assert run_of(served, said.out).inputs == {"a": 1, "b": 2, "c": 3}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"d": "\xc3\xa4"}')))
    assert run_of(served, verb("submit", "busybox", "--inputs", "-", "--", "a=1").out).inputs == {"d": "ä"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    said = verb("submit", "busybox", "--inputs", "-")
    assert (said.code, said.err) == (2, "gyoza-tui: what stdin holds must be one JSON object: names and values\n")


def test_a_command_stands_behind_dashes_only(verb: Verb, served: ServerThread) -> None:
    run = run_of(served, verb("submit", "busybox", "n=1", "--", "sh", "-c", "echo", "--", "x=y").out)
    assert (run.inputs, run.command) == ({"n": 1}, ["sh", "-c", "echo", "--", "x=y"])
    said = verb("submit", "busybox", "echo")
    assert (said.code, said.err) == (
        2, "gyoza-tui: 'echo': write an input as name=value; a command stands behind `--`\n"
    )  # fmt: skip


def test_every_flag_of_an_ad_hoc_run(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "from here")
    said = verb(
        *("submit", "busybox", "--cpu", "1.5", "--ram", "4g", "--vram", "512m", "--gpu", "1"),
        *("--tag", "a", "--tag", "b", "--env", "A=x=y", "--env", "E=", "--secret-env", "TOKEN", "--secret-env", "B=b"),
        *("--retry", "2", "--timeout", "1h30m", "--priority", "-3"),
    )
    assert said.code == 0, said.err
    run = run_of(served, said.out)
    assert run.constraints.model_dump() == {"cpu": 1.5, "ram_mb": 4096, "vram_mb": 512, "gpu_id": 1}
    assert (run.tags, run.env, run.secret_env) == (["a", "b"], {"A": "x=y", "E": ""}, {"TOKEN": "***", "B": "***"})
    assert (run.retry_policy.max_attempts, run.timeout_s, run.priority) == (3, 5400, -3)
    served.client.beat(HeartbeatRequest.model_validate({"worker_id": "w", "tags": ["a", "b"], "features": list(Feature),
        "resources": {"cpu_cores": 4, "ram_mb": 8192, "gpus": [{"id": 1, "vram_mb": 1000}]}}))  # fmt: skip
    (claimed,) = until(lambda: served.client.claim("w", ClaimRequest(max=1, wait_s=5)).runs, "the run to take")
    assert claimed.secret_env == {"TOKEN": "from here", "B": "b"}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--timeout", ""], "is no duration: write it as 90s, 10m, 1h30m or 2d"),
        (["--timeout", "10 minutes"], "is no duration: write it as 90s, 10m, 1h30m or 2d"),
        (["--timeout", "1h30"], "is no duration: write it as 90s, 10m, 1h30m or 2d"),
        (["--timeout", "10m5"], "is no duration: write it as 90s, 10m, 1h30m or 2d"),
        (["--timeout", "0"], "--timeout: Input should be greater than 0"),
        (["--ram", "4t"], "--ram: '4t' is no size: write it in MiB as 512, or as 512m or 4g"),
        (["--ram", "-1"], "--ram: Input should be greater than or equal to 0"),
        (["--cpu", "-1"], "--cpu: must be a number of cores between 0 and 4096"),
        (["--cpu", "x"], "--cpu"),
        (["--env", "A"], "--env 'A': write it as NAME=value"),
        (["--env", "1=x"], "--env: '1' cannot name an environment variable"),
        (["--secret-env", "NOT_SET"], "is not set in the environment"),
        (["--tag", "a b"], "--tag: 'a b' is not an id"),
        (["--retry", "100"], "--retry: Input should be less than or equal to 100"),
        (["--count", "0"], "--count"),
        (["--priority", "9999999"], "--priority: Input should be less than or equal to 1000000"),
        (["--logs", "--json"], "leave one out"),
        (["--logs", "--count", "2"], "--logs is for one run"),
    ],
)
def test_flags_that_are_refused(verb: Verb, flags: list[str], words: str) -> None:
    said = verb("submit", "busybox", "--server", "http://127.0.0.1:1", *flags)
    assert (said.code, said.out) == (2, ""), "before a server is asked: none is there"
    assert words in said.err


def test_sizes_and_times_are_wrong_usage() -> None:
    with pytest.raises(CliError) as refused:
        AdHoc(ram="x").as_fields()
    assert refused.value.code is ExitCode.USAGE


# many


def test_many_runs_each_with_an_id_of_its_own(verb: Verb, served: ServerThread) -> None:
    define(served, n=InputSpec())
    said = verb("submit", "train@1", "n=1", "--count", "5")
    assert said.code == 0
    assert sorted(said.out.split()) == sorted(run.id for run in served.client.list_runs().items)
    told = [
        OpRun.model_validate_json(line) for line in verb("submit", "busybox", "--count", "3", "--json").out.splitlines()
    ]
    assert len({run.id for run in told}) == 3
    assert all(run.image == "busybox" for run in told)


def test_an_interruption_tells_how_many_there_are(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = GyozaClient.create_run, iter(range(100))

    def interrupted(client: GyozaClient, image: str, inputs: dict[str, Any] | None = None, **more: Any) -> OpRun:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return real(client, image, inputs, **more)

    monkeypatch.setattr(GyozaClient, "create_run", interrupted)
    said = verb("submit", "busybox", "--count", "9")
    assert said.code == 130
    assert len(said.out.split()) == len(served.client.list_runs().items) == 3
    assert "interrupted: 3 of 9 submitted; `gyoza-tui show " in said.err


def test_a_server_that_goes_away_between(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = GyozaClient.create_run, iter(range(100))

    def refused(client: GyozaClient, image: str, inputs: dict[str, Any] | None = None, **more: Any) -> OpRun:
        if next(calls) == 2:
            raise httpx.ConnectError("connection refused")
        return real(client, image, inputs, **more)

    monkeypatch.setattr(GyozaClient, "create_run", refused)
    said = verb("submit", "busybox", "--count", "9")
    assert (said.code, len(said.out.split())) == (3, 2)
    assert said.err.startswith("2 of 9 runs are submitted\n")


def test_a_lost_answer_is_asked_for_again_under_the_same_id(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ids = GyozaClient.create_run_from_definition, []

    def lost(client: GyozaClient, name: str, inputs: dict[str, Any], **more: Any) -> OpRun:
        run = real(client, name, inputs, **more)
        ids.append(more["id"])
        if len(ids) == 1:
            raise httpx.ReadError("reset")
        return run

    define(served)
    monkeypatch.setattr(GyozaClient, "create_run_from_definition", lost)
    said = verb("submit", "train@1")
    assert said.code == 0
    assert ids == [said.out.strip()] * 2
    assert len(served.client.list_runs().items) == 1


def test_a_run_whose_answer_is_lost_with_the_server_is_named(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ids = GyozaClient.create_run, []

    def lost(client: GyozaClient, image: str, inputs: dict[str, Any] | None = None, **more: Any) -> OpRun:
        ids.append(more["id"])
        if len(ids) == 3:
            real(client, image, inputs, **more)
            raise httpx.ReadError("reset")
        if len(ids) > 3:
            raise httpx.ConnectError("connection refused")
        return real(client, image, inputs, **more)

    monkeypatch.setattr(GyozaClient, "create_run", lost)
    said = verb("submit", "busybox", "--count", "9")
    assert (said.code, len(said.out.split())) == (3, 2)
    assert f"the server did not answer to run {ids[2]}" in said.err
    assert ids[2] in [run.id for run in served.client.list_runs().items]


def test_waiting_for_many(verb: Verb, served: ServerThread) -> None:
    worker = Worker(served, fails=1)
    said = verb("submit", "busybox", "--count", "3", "--wait")
    worker.join()
    assert said.code == 1
    assert said.out.splitlines()[-1] in ("1 FAILED, 2 COMPLETED", "2 COMPLETED, 1 FAILED")
    assert said.err.count("is FAILED: op_error, exit 3: no good") == 1
    worker = Worker(served)
    said = verb("submit", "busybox", "--count", "3", "--wait", "--json")
    worker.join()
    assert said.code == 0
    assert [json.loads(line)["state"] for line in said.out.splitlines()] == ["COMPLETED"] * 3


class Worker:
    """Takes three runs and ends them, some badly."""

    def __init__(self, server: ServerThread, fails: int = 0) -> None:
        self._client, self._fails = server.client, fails
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(20)

    def _work(self) -> None:
        client = self._client
        client.heartbeat(worker_id="scripted", resources={"cpu_cores": 4, "ram_mb": 4096})
        for i in range(3):
            (run, *_) = until(lambda: client.claim("scripted", ClaimRequest(max=1, wait_s=5)).runs, "a run to take")
            fence: dict[str, Any] = {"worker_id": "scripted", "attempt": run.attempt, "lease": run.lease}
            client.add_event(run.id, "STARTED", None, **fence)
            if i < self._fails:
                fault = {"reason": "op_error", "exit_code": 3, "message": "no good", "log_tail": "last"}
                client.add_event(run.id, "FAILED", "no good", fault, **fence)
            else:
                client.add_event(run.id, "COMPLETED", None, {"n": i}, **fence)


# --logs


def test_logs_are_streamed_of_a_run_of_this_machine(verb: Verb, served: ServerThread, clean_environment: Path) -> None:
    """The first attempt fails, the second one goes well: both are read, to what they wrote at last."""
    client = served.client
    state_dir = StateDir.open(clean_environment / "state", "desk")
    journal = Journal(state_dir.journal, SystemClock())

    def work() -> None:
        client.heartbeat(worker_id="desk", resources={"cpu_cores": 4, "ram_mb": 4096})
        for attempt in (1, 2):
            (run, *_) = until(lambda: client.claim("desk", ClaimRequest(max=1, wait_s=5)).runs, "a run to take")
            row = journal.take("s", run, "docker")
            log = LogSpool(state_dir.log_path(run.id, attempt, run.lease), MIB)
            fence: dict[str, Any] = {"worker_id": "desk", "attempt": attempt, "lease": run.lease}
            client.add_event(run.id, "STARTED", None, **fence)
            log.append(Chunk(Stream.STDOUT, b"try %d, the secret is s3cret\n" % attempt), 1.0)
            log.flush()
            if attempt == 1:
                client.add_event(run.id, "FAILED", "no good", {"reason": "op_error", "message": "x"}, **fence)
            else:
                client.add_event(run.id, "COMPLETED", None, {}, **fence)
            log.append(Chunk(Stream.STDERR, b"last of %d\n" % attempt), 2.0)
            log.close()
            journal.update(row.key, cleaned=True)

    worker = threading.Thread(target=work)
    worker.start()
    said = verb("submit", "busybox", "--logs", "--retry", "1", "--secret-env", "T=s3cret")
    worker.join(20)
    journal.close()
    state_dir.close()
    assert said.code == 0, said.err
    assert said.out.splitlines()[1:-1] == [
        "try 1, the secret is ***", "last of 1", "try 2, the secret is ***", "last of 2"
    ]  # fmt: skip
    assert said.out.splitlines()[-1].startswith("COMPLETED")


def test_an_interruption_while_the_last_of_a_log_is_printed(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_log: LiveLog, _run: OpRun) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveLog, "end", interrupted)
    ended = served.client.create_run("busybox", id="ended")
    served.client.update_run(ended.id, state=RunState.CANCELLED)
    monkeypatch.setattr("gyoza_tui.cli.run_request.new_id", lambda: ended.id)
    monkeypatch.setattr("gyoza_tui.cli.run_request.created", lambda *_: ended)
    said = verb("submit", "busybox", "--logs")
    assert said.code == 130
    assert said.err == "gyoza-tui: interrupted: the run has ended; `gyoza-tui show ended` tells how\n"


def test_logs_of_a_worker_whose_state_is_not_here(verb: Verb, served: ServerThread) -> None:
    worker = Worker(served)
    said = verb("submit", "busybox", "--logs")
    verb("submit", "busybox", "--count", "2")
    worker.join()
    assert said.code == 0
    assert said.err.count(": no state of worker scripted under ") == 1


# bars


class OnTerminal:
    """The installed command; its stderr is a terminal, its stdout a file."""

    def __init__(self, home: Path, server: ServerThread, *arguments: str) -> None:
        self._ours, theirs = os.openpty()
        self._out = home / "out.txt"
        self._shown = bytearray()
        settings = {"GYOZA_SERVER_URL": server.url, "GYOZA_API_KEY": KEY, "TERM": "xterm-256color", "COLUMNS": "100"}
        with self._out.open("wb") as out:
            self._process = subprocess.Popen(
                [COMMAND, *arguments], cwd=home, env=environment(home, **settings), stdin=subprocess.DEVNULL,
                stdout=out, stderr=theirs,
            )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def shown(self) -> str:
        return self._shown.decode(errors="replace")

    def ended(self) -> tuple[int, list[str]]:
        """Exit code, and the lines on stdout."""
        code = self._process.wait(20)
        self._reader.join(10)
        os.close(self._ours)
        return code, self._out.read_text().splitlines()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the last of the other side is gone
            while piece := os.read(self._ours, 65536):
                self._shown.extend(piece)


def test_a_bar_of_many_submissions_is_for_terminals(served: ServerThread, clean_environment: Path) -> None:
    command = OnTerminal(clean_environment, served, "submit", "busybox", "--count", "3")
    code, lines = command.ended()
    assert (code, len(lines)) == (0, 3)
    assert "submitted 3 of 3" in command.shown
    assert f"next: gyoza-tui show {lines[-1]}" in command.shown


def test_a_bar_tells_what_a_run_is_at(served: ServerThread, clean_environment: Path) -> None:
    command = OnTerminal(clean_environment, served, "submit", "busybox", "--wait")
    until(lambda: "PENDING" in command.shown, "it waits for a worker")
    client, resources = served.client, {"cpu_cores": 4, "ram_mb": 4096}
    client.heartbeat(worker_id="scripted", resources=resources)
    (run, *_) = until(lambda: client.claim("scripted", ClaimRequest(max=1, wait_s=5)).runs, "a run to take")
    fence: dict[str, Any] = {"worker_id": "scripted", "attempt": run.attempt, "lease": run.lease}
    held = {"id": run.id, "attempt": run.attempt, "lease": run.lease, "phase": "pull_latest_image"}
    client.heartbeat(worker_id="scripted", resources=resources, running_ops=[held])
    until(lambda: "ASSIGNED: pull latest image" in command.shown, "its image is pulled")
    client.add_event(run.id, "STARTED", None, **fence)
    client.add_event(run.id, "PROGRESS", 42, **fence)
    until(lambda: "RUNNING" in command.shown and "42%" in command.shown, "it runs")
    client.add_event(run.id, "COMPLETED", None, {"n": 1}, **fence)
    code, lines = command.ended()
    assert (code, lines[0], lines[-1]) == (0, run.id, "n = 1")
