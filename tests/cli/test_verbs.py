"""The client verbs against the real server, in this process."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.cli.connection import all_runs, short_ids
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import ClaimRequest
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker_dirs import worker_dir
from tests.cli.conftest import Meanwhile, Verb, known
from tests.commands import COMMAND, environment, unread
from tests.servers import WORK_KEY, ServerThread
from tests.waiting import until


def ids(server: ServerThread, *names: str) -> None:
    for name in names:
        server.client.create_run("busybox", {"n": 1}, id=name)


def test_submit_prints_the_id_and_the_server_has_the_run(verb: Verb, served: ServerThread) -> None:
    said = verb("submit", "busybox", "-i", "n=3", "-i", "s=x", "--", "echo", "-n", "--help")
    assert said.code == 0
    run = served.client.get_run(said.out.strip())
    assert (run.image, run.inputs, run.command) == ("busybox", {"n": 3, "s": "x"}, ["echo", "-n", "--help"])


def test_submit_tells_all_faults_before_anything_is_sent(verb: Verb, served: ServerThread) -> None:
    said = verb("submit", "Not An Image", "-i", "s=\udc80")
    assert said.code == 2
    assert "IMAGE" in said.err
    assert "inputs" in said.err
    assert served.client.list_runs().items == []


def test_runs_lists_the_newest_first(verb: Verb, served: ServerThread) -> None:
    ids(served, "first", "second")
    said = verb("runs")
    assert said.code == 0
    assert [line.split()[1] for line in said.out.splitlines()[1:]] == ["second", "first"]
    assert [run["id"] for run in json.loads(verb("runs", "--json").out)] == ["second", "first"]
    limited = verb("runs", "--limit", "1")
    assert len(limited.out.splitlines()) == 2
    assert "--limit N lists more than 1" in limited.err


def test_all_runs_over_many_pages(served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyoza_tui.cli.connection.PAGE", 3)
    ids(served, *(f"run{i}" for i in range(8)))
    assert [run.id for run in all_runs(served.client)] == [f"run{i}" for i in reversed(range(8))]


def test_a_run_by_the_beginning_of_its_id(verb: Verb, served: ServerThread) -> None:
    ids(served, "abc", "abcd", "abef")
    assert json.loads(verb("show", "abe", "--json").out)["id"] == "abef"
    assert json.loads(verb("show", "abc", "--json").out)["id"] == "abc", "a whole id is never ambiguous"
    ambiguous = verb("show", "ab")
    assert ambiguous.code == 1
    assert [line.strip() for line in ambiguous.err.splitlines()[1:]] == ["abef", "abcd", "abc"]
    unknown = verb("show", "zzz")
    assert (unknown.code, unknown.out) == (1, "")
    assert "no run's id begins with zzz" in unknown.err


def test_cancel_once(verb: Verb, served: ServerThread) -> None:
    ids(served, "abc")
    assert verb("cancel", "a").out == "abc CANCELLED\n"
    assert served.client.get_run("abc").state is RunState.CANCELLED
    again = verb("cancel", "abc")
    assert (again.code, again.out) == (1, "")
    assert "already CANCELLED" in again.err


def test_show_tells_why_a_run_waits(verb: Verb, served: ServerThread) -> None:
    ids(served, "abc")
    out = verb("show", "abc").out
    assert "state    PENDING" in out
    assert "waits    no worker" in out
    assert "n = 1" in out


def test_a_wrong_key_is_configuration(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", "wrong-key")
    said = verb("runs")
    assert said.code == 2
    assert "refuses the key: set GYOZA_API_KEY or GYOZA_API_KEY_FILE, or --api-key-file" in said.err
    assert "wrong-key" not in said.err


def test_a_key_of_another_role_is_configuration(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", WORK_KEY)
    assert verb("runs").code == 0
    said = verb("submit", "busybox")
    assert said.code == 2
    assert "a work key may not submit runs: use a key of the role submit or admin" in said.err
    assert "GYOZA_API_KEY" not in said.err, "the key is no wrong one"


def test_no_server_is_code_3(verb: Verb) -> None:
    said = verb("runs", "--server", "http://127.0.0.1:1")
    assert said.code == 3
    assert "connection refused" in said.err


def test_another_server_than_a_gyoza_is_code_3(verb: Verb) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        said = verb("runs", "--server", f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
    assert said.code == 3
    assert "is no gyoza server: 404" in said.err


def test_an_unknown_variable_is_a_warning(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_SERVER_ULR", "x")
    said = verb("runs")
    assert said.code == 0
    assert "GYOZA_SERVER_ULR in the environment is not a setting (did you mean GYOZA_SERVER_URL?)" in said.err


@pytest.mark.parametrize("flag", ["--no-ui", "--local", "--demo", "--new-journal", "--max-runs=3", "--tags=a"])
def test_a_workers_flag_before_a_verb_is_refused(verb: Verb, flag: str) -> None:
    said = verb(flag, "runs")
    assert said.code == 2
    assert "is for the worker" in said.err


def test_flags_before_the_verb_count_and_those_behind_it_win(verb: Verb, served: ServerThread) -> None:
    nowhere = "http://127.0.0.1:1"
    assert verb("--server", nowhere, "runs").code == 3
    assert verb("--server", nowhere, "runs", "--server", served.url).code == 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--demo"], "--demo goes with --local"), (["--local", "--server", "http://x"], "leave out --server")],
)
def test_flags_that_do_not_go_together(verb: Verb, flags: list[str], words: str) -> None:
    said = verb(*flags)
    assert said.code == 2
    assert words in said.err


def test_short_ids() -> None:
    assert short_ids(["abcdefgh-1", "abcdefgh-2", "xyz"]) == {
        "abcdefgh-1": "abcdefgh-1",
        "abcdefgh-2": "abcdefgh-2",
        "xyz": "xyz",
    }
    assert short_ids(["0123456789"]) == {"0123456789": "01234567"}
    assert short_ids([]) == {}


# logs


@pytest.fixture
def state_dir(clean_environment: Path) -> Iterator[StateDir]:
    made = StateDir.open(clean_environment / "state", "desk")
    yield made
    made.close()


@contextmanager
def spool(state_dir: StateDir, run_id: str, attempt: int = 1) -> Iterator[LogSpool]:
    known(state_dir, run_id)
    opened = LogSpool(state_dir.log_path(run_id, attempt, "abcdef0123"), 16 * MIB)
    yield opened
    opened.close()


def test_logs_gives_bytes_as_they_came_and_needs_no_server(state_dir: StateDir, clean_environment: Path) -> None:
    data = b"one\n\xff\x00\x1b[2Jtwo\nthree"
    with spool(state_dir, "abc") as log:
        log.append(Chunk(Stream.STDOUT, data), 1.0)
    done = subprocess.run(
        [COMMAND, "logs", "ab", "--server", "http://127.0.0.1:1"],
        env=environment(clean_environment),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, data)


def test_logs_as_json(verb: Verb, state_dir: StateDir) -> None:
    with spool(state_dir, "abc", 1) as log:
        log.append(Chunk(Stream.STDOUT, b"the first attempt\n"), 1.0)
    with spool(state_dir, "abc", 2) as log:
        log.append(Chunk(Stream.STDOUT, b"one\n\xff\n"), 1.0)
        log.append(Chunk(Stream.STDERR, b"two"), 2.5)
    said = verb("logs", "abc", "--json")
    assert said.code == 0
    assert [json.loads(line) for line in said.out.splitlines()] == [
        {"line": 0, "t": 1.0, "stream": "stdout", "text": "one"},
        {"line": 1, "t": 1.0, "stream": "stdout", "text": "\ufffd"},
        {"line": 2, "t": 2.5, "stream": "stderr", "text": "two"},
    ]


def test_logs_of_two_runs_that_begin_alike(verb: Verb, state_dir: StateDir) -> None:
    for name in ("abc", "abd"):
        with spool(state_dir, name):
            pass
    said = verb("logs", "ab")
    assert said.code == 1
    assert "abc" in said.err
    assert "abd" in said.err


def test_logs_names_the_worker_that_has_the_run_and_finds_its_log_here(
    verb: Verb, served: ServerThread, clean_environment: Path
) -> None:
    ids(served, "abc")
    assert "no worker has it" in verb("logs", "abc").err
    served.client.heartbeat(worker_id="elsewhere", resources={"cpu_cores": 4, "ram_mb": 4096})
    take(served.client, "elsewhere")
    said = verb("logs", "abc")
    assert said.code == 1
    state = clean_environment / "state"
    assert f"no log of abc: no state of worker elsewhere under {state}; --state-dir names another" in said.err
    root = worker_dir(state, "elsewhere")
    root.mkdir(parents=True)
    assert f"abc is ASSIGNED and has no log in {root}" in verb("logs", "abc").err
    other = StateDir.open(state, "elsewhere")
    with spool(other, "abc") as log:
        log.append(Chunk(Stream.STDOUT, b"here\n"), 1.0)
    other.close()
    assert verb("logs", "abc") == (0, "here\n", "")


def take(client: GyozaClient, worker_id: str) -> OpRun:
    (run, *_) = until(lambda: client.claim(worker_id, ClaimRequest(max=1, wait_s=5)).runs, "a run to take")
    return run


def test_logs_follows_until_the_run_has_ended(
    verb: Verb, served: ServerThread, state_dir: StateDir, meanwhile: Meanwhile
) -> None:
    ids(served, "abc")
    with spool(state_dir, "abc") as log:
        log.append(Chunk(Stream.STDOUT, b"begin\n"), 1.0)
        log.flush()

        def end() -> None:
            log.append(Chunk(Stream.STDOUT, b"end\n"), 2.0)
            log.flush()
            served.client.update_run("abc", state=RunState.CANCELLED)

        meanwhile(end)
        said = verb("logs", "abc", "-f", "--json")
    assert said.code == 0
    assert [json.loads(line)["text"] for line in said.out.splitlines()] == ["begin", "end"]


def test_logs_follows_what_a_cancelled_run_says_while_it_is_stopped(
    verb: Verb, served: ServerThread, state_dir: StateDir, meanwhile: Meanwhile
) -> None:
    ids(served, "abc")
    journal = Journal(state_dir.journal, SystemClock())
    row = journal.take("s", OpRun(id="abc", image="busybox", attempt=1, lease="abcdef0123"), "docker")
    served.client.update_run("abc", state=RunState.CANCELLED)
    with spool(state_dir, "abc") as log:

        def end() -> None:
            log.append(Chunk(Stream.STDOUT, b"saved\n"), 2.0)
            log.flush()
            journal.update(row.key, cleaned=True)

        meanwhile(end)
        said = verb("logs", "abc", "-f")
    journal.close()
    assert (said.code, said.out) == (0, "saved\n")


# submit --wait


def test_wait_ends_with_the_run_and_survives_a_server_that_hiccups(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = GyozaClient.get_run, iter(range(100))

    def hiccups(client: GyozaClient, run_id: str, *, events: bool = True) -> OpRun:
        if next(calls) == 0:
            raise httpx.ConnectError("connection refused")
        return real(client, run_id, events=events)

    monkeypatch.setattr(GyozaClient, "get_run", hiccups)
    outcome = run_ending(served, {"loss": 0.5})
    said = verb("submit", "busybox", "--wait")
    outcome.join()
    assert said.code == 0
    assert said.out.splitlines()[1].startswith("COMPLETED")
    assert said.out.splitlines()[2] == "loss = 0.5"
    assert "waiting for it" in said.err


def test_wait_tells_why_it_failed(verb: Verb, served: ServerThread) -> None:
    outcome = run_ending(served, None)
    said = verb("submit", "busybox", "--wait", "--json")
    outcome.join()
    assert said.code == 1
    assert json.loads(said.out)["state"] == "FAILED"
    assert "op_error, exit 3: no good" in said.err
    assert "| the last line␛[2J" in said.err


def test_wait_says_what_it_waits_for(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyoza_tui.cli.printing.waiting.QUIET_S", 0.0)
    real, asked = GyozaClient.get_run, list[str]()

    def noted(client: GyozaClient, run_id: str, *, events: bool = True) -> OpRun:
        asked.append(run_id)
        return real(client, run_id, events=events)

    monkeypatch.setattr(GyozaClient, "get_run", noted)

    def work() -> None:
        client = served.client
        client.heartbeat(worker_id="scripted", resources={"cpu_cores": 4, "ram_mb": 4096})
        run = take(client, "scripted")
        fault = {"reason": "image_pull_failed", "message": "no such host"}
        fence: dict[str, Any] = {"worker_id": "scripted", "attempt": run.attempt, "lease": run.lease}
        client.add_event(run.id, "FAILED", "no such host", fault, **fence)
        before = len(asked)
        until(lambda: len(asked) >= before + 2, "it has asked again, and told what it was answered")
        client.update_run(run.id, state=RunState.CANCELLED)

    worker = threading.Thread(target=work)
    worker.start()
    said = verb("submit", "busybox", "--wait")
    worker.join()
    assert said.code == 1
    assert said.err.count("attempt 1 failed, to be tried again: image_pull_failed: no such host\n") == 1
    assert "PENDING: waits" in said.err


def run_ending(server: ServerThread, outputs: dict[str, object] | None) -> threading.Thread:
    """A scripted worker that takes one run and ends it."""

    def work() -> None:
        client = server.client
        client.heartbeat(worker_id="scripted", resources={"cpu_cores": 4, "ram_mb": 4096})
        run = take(client, "scripted")
        fence: dict[str, Any] = {"worker_id": "scripted", "attempt": run.attempt, "lease": run.lease}
        client.add_event(run.id, "STARTED", None, **fence)
        if outputs is not None:
            client.add_event(run.id, "COMPLETED", None, outputs, **fence)
        else:
            fault = {"reason": "op_error", "exit_code": 3, "message": "no good", "log_tail": "a\nthe last line\x1b[2J"}
            client.add_event(run.id, "FAILED", "no good", fault, **fence)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_interrupted_is_130(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> OpRun:
        raise KeyboardInterrupt

    monkeypatch.setattr(GyozaClient, "get_run", interrupted)
    said = verb("submit", "busybox", "--wait")
    assert said.code == 130
    assert "goes on. Stop it: gyoza-tui cancel" in said.err
    assert verb("show", "abc").code == 130


def test_a_reader_that_is_gone_is_no_error_of_a_verb_that_only_tells(
    served: ServerThread, clean_environment: Path
) -> None:
    for arguments in (["runs", "--json"], ["config", "show", "--json"], ["--version"]):
        ended = unread(clean_environment, *arguments)
        assert (ended.returncode, ended.stderr) == (0, b""), arguments
    for arguments in (["check"], ["submit", "busybox"]):
        ended = unread(clean_environment, *arguments)
        assert ended.returncode == 1, arguments
        assert b"nobody reads any more" in ended.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cancel state:pending", b"Nobody is there to be asked: --yes does it"),
        ("submit busybox --inputs -", b"what stdin holds"),
    ],
)
def test_a_stdin_that_is_closed_holds_nothing(
    served: ServerThread, clean_environment: Path, line: str, words: bytes
) -> None:
    served.client.create_run("busybox")
    ended = subprocess.run(
        ["sh", "-c", f"exec {COMMAND} {line} <&-"], cwd=clean_environment, capture_output=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (2, b""), ended.stderr
    assert words in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_port_that_is_taken(verb: Verb) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = verb("serve", "--port", str(taken.getsockname()[1]))
    assert said.code == 2
    assert "cannot be listened on" in said.err


def test_beyond_loopback_a_key_is_required(verb: Verb) -> None:
    said = verb("serve", "--host", "0.0.0.0", "--port", "0")
    assert said.code == 2
    assert "GYOZA_API_KEY" in said.err


def test_a_database_that_another_server_holds(verb: Verb, served: ServerThread, clean_environment: Path) -> None:
    said = verb("serve", "--port", "0", "--database", f"sqlite:///{clean_environment / 'server.db'}")
    assert said.code == 2
    assert f"pid {os.getpid()}" in said.err
