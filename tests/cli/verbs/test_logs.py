"""`logs`: which lines of a log are printed; that a run's log is found is in test_verbs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.cli.printing.live_log import LiveLog
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.settings import load
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.cli.conftest import Meanwhile, Verb, known
from tests.cli.stage import FAULT, Actor
from tests.servers import ServerThread

OUT, ERR = Stream.STDOUT, Stream.STDERR
HALF_A_MINUTE_AGO = "half a minute ago"
"""Stands for that time, counted from when the test runs."""


@pytest.fixture
def state_dir(clean_environment: Path) -> Iterator[StateDir]:
    made = StateDir.open(clean_environment / "state", "desk")
    yield made
    made.close()


def written(state_dir: StateDir, *chunks: tuple[Stream, bytes, float], attempt: int = 1) -> None:
    """A log of run `abc`: stream, bytes, and how many seconds ago."""
    spooled(state_dir, *chunks, attempt=attempt)
    known(state_dir, "abc")


def spooled(state_dir: StateDir, *chunks: tuple[Stream, bytes, float], attempt: int = 1) -> None:
    """The same of a run of which the journal knows nothing."""
    log = LogSpool(state_dir.log_path("abc", attempt, "abcdef0123"), 16 * MIB)
    for stream, data, ago in chunks:
        log.append(Chunk(stream, data), time.time() - ago)
    log.close()


@pytest.fixture
def log(state_dir: StateDir) -> None:
    written(
        state_dir,
        (OUT, b"one\ntwo\n", 7200),
        (ERR, b"\x1b[31mError\x1b[0m: no disk\n", 3600),
        (OUT, b"three\n", 60),
        (ERR, b"last", 1),
    )


ALL = "one\ntwo\n\x1b[31mError\x1b[0m: no disk\nthree\nlast"


@pytest.mark.parametrize(
    ("flags", "printed"),
    [
        ([], ALL),
        (["--tail", "2"], "three\nlast"),
        (["--tail", "0"], ""),
        (["--tail", "99"], ALL),
        (["--since", "119m"], "\x1b[31mError\x1b[0m: no disk\nthree\nlast"),
        (["--since", "10m"], "three\nlast"),
        (["--since", HALF_A_MINUTE_AGO], "last"),
        (["--since", "2099-01-01"], ""),
        (["--stderr"], "\x1b[31mError\x1b[0m: no disk\nlast"),
        (["--grep", "^t"], "two\nthree\n"),
        (["--grep", "^Error: no"], "\x1b[31mError\x1b[0m: no disk\n"),
        (["--grep", "^t", "--tail", "1"], "three\n"),
        (["--stderr", "--tail", "1"], "last"),
        (["--stderr", "--since", "10m", "--grep", "a"], "last"),
        (["--grep", "nothing"], ""),
    ],
)
def test_which_lines(verb: Verb, log: None, flags: list[str], printed: str) -> None:
    half_a_minute_ago = datetime.fromtimestamp(time.time() - 30, UTC).isoformat()
    flags = [half_a_minute_ago if flag == HALF_A_MINUTE_AGO else flag for flag in flags]
    said = verb("logs", "abc", *flags)
    assert (said.code, said.out, said.err) == (0, printed, "")
    lines = [json.loads(line) for line in verb("logs", "abc", "--json", *flags).out.splitlines()]
    assert [line["text"] for line in lines] == printed.splitlines()


def test_lines_that_end_in_the_middle_of_another_are_lines_of_their_own(verb: Verb, state_dir: StateDir) -> None:
    written(state_dir, (OUT, b"abc", 3), (ERR, b"warning\n", 2), (OUT, b"def\n", 1))
    assert verb("logs", "abc").out == "abcwarning\ndef\n"
    assert verb("logs", "abc", "--tail", "9").out == "abc\nwarning\ndef\n"


def test_an_attempt(verb: Verb, state_dir: StateDir) -> None:
    written(state_dir, (OUT, b"first\n", 9))
    written(state_dir, (OUT, b"second\n", 1), attempt=2)
    assert verb("logs", "abc").out == "second\n"
    assert verb("logs", "abc", "--attempt", "1").out == "first\n"
    said = verb("logs", "abc", "--attempt", "3")
    assert (said.code, said.out) == (1, "")
    assert "no log of attempt 3 of abc here; there are those of 1, 2" in said.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--since", "soon"], "--since: 'soon' is no time: write it as 30m, 1h, 2d"),
        (["--grep", "("], "is no regular expression"),
        (["--tail", "-1"], "--tail"),
        (["--attempt", "0"], "--attempt"),
    ],
)
def test_wrong_usage(verb: Verb, log: None, flags: list[str], words: str) -> None:
    said = verb("logs", "abc", *flags)
    assert (said.code, said.out) == (2, "")
    assert words in said.err


def test_a_secret_of_several_lines_is_in_none_of_them(verb: Verb, state_dir: StateDir) -> None:
    journal = Journal(state_dir.journal, SystemClock())
    key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----"
    journal.take("s", OpRun(id="abc", image="op", secret_env={"KEY": key}), "docker")
    written(state_dir, (OUT, f"key:\n{key}\nend\n".encode(), 1))
    assert verb("logs", "abc").out == "key:\n***\nend\n"
    assert verb("logs", "abc", "--tail", "9").out == "key:\n***\n***\n***\nend\n"
    assert verb("logs", "abc", "--grep", "MIIE").out == "", "what is hidden cannot be searched for"
    journal.close()


def test_a_log_whose_secrets_nobody_knows_is_not_printed(verb: Verb, state_dir: StateDir) -> None:
    journal = Journal(state_dir.journal, SystemClock())
    journal.take("s", OpRun(id="abc", image="op", secret_env={"KEY": "hunter2"}), "docker")
    journal.close()
    spooled(state_dir, (OUT, b"it is hunter2\n", 1))
    Journal(state_dir.journal, SystemClock(), new=True).close()
    assert verb("logs", "abc").out == "it is ***\n", "the journal that was set aside tells"
    for file in state_dir.root.glob("journal*"):
        file.unlink()
    for flags in ([], ["--json"], ["--tail", "1"]):
        said = verb("logs", "abc", *flags)
        assert (said.code, said.out) == (1, "")
        assert "it may hold secrets" in said.err
        assert str(state_dir.log_path("abc", 1, "abcdef0123")) in said.err


def test_nor_is_it_while_something_waits_for_the_run(state_dir: StateDir, capsys: pytest.CaptureFixture[str]) -> None:
    spooled(state_dir, (OUT, b"it is hunter2\n", 1))
    live = LiveLog(load())
    live.end(OpRun(id="abc", image="op", state=RunState.COMPLETED, current_attempt=1, worker_id="desk"))
    said = capsys.readouterr()
    assert said.out == ""
    assert "it may hold secrets" in said.err


def test_following_goes_on_behind_the_tail(
    verb: Verb, served: ServerThread, state_dir: StateDir, meanwhile: Meanwhile
) -> None:
    served.client.create_run("busybox", id="abc")
    known(state_dir, "abc")
    log = LogSpool(state_dir.log_path("abc", 1, "abcdef0123"), 16 * MIB)
    log.append(Chunk(OUT, b"old\nno\nerror 1\nno\n"), time.time())
    log.flush()

    def go_on() -> None:
        log.append(Chunk(OUT, b"no\nerror 2\n"), time.time())
        log.flush()
        served.client.update_run("abc", state=RunState.CANCELLED)

    meanwhile(go_on)
    said = verb("logs", "abc", "-f", "--tail", "1", "--grep", "error")
    log.close()
    assert (said.code, said.out) == (0, "error 1\nerror 2\n")


@pytest.mark.parametrize("lines_before", [2, 999])
@pytest.mark.parametrize("flags", [["--tail", "1", "--grep", "r"], ["--grep", "r"], ["--json"], ["--stderr"]])
def test_a_line_that_is_not_ended_yet_is_followed_to_its_end(
    verb: Verb, served: ServerThread, state_dir: StateDir, meanwhile: Meanwhile, flags: list[str], lines_before: int
) -> None:
    served.client.create_run("busybox", id="abc")
    known(state_dir, "abc")
    log = LogSpool(state_dir.log_path("abc", 1, "abcdef0123"), 16 * MIB)
    log.append(Chunk(ERR, b"r\n" * lines_before + b"the err"), time.time())
    log.flush()

    def go_on() -> None:
        log.append(Chunk(ERR, b"or is here\n"), time.time())
        log.flush()
        served.client.update_run("abc", state=RunState.CANCELLED)

    meanwhile(go_on)
    said = verb("logs", "abc", "-f", *flags)
    log.close()
    *_, before, last = (
        [json.loads(line)["text"] for line in said.out.splitlines()] if "--json" in flags else said.out.splitlines()
    )
    assert (before, last) == ("r", "the error is here")


def test_following_waits_for_a_run_that_has_not_begun(
    verb: Verb, served: ServerThread, state_dir: StateDir, meanwhile: Meanwhile
) -> None:
    served.client.create_run("busybox", id="abc")

    def begin() -> None:
        written(state_dir, (OUT, b"begun\n", 0))
        served.client.update_run("abc", state=RunState.CANCELLED)

    meanwhile(begin)
    said = verb("logs", "abc", "-f")
    assert (said.code, said.out) == (0, "begun\n")
    assert said.err.startswith("abc has not begun yet; waiting for it: ")


def test_following_ends_when_the_run_ends_without_having_begun(
    verb: Verb, served: ServerThread, meanwhile: Meanwhile
) -> None:
    served.client.create_run("busybox", id="abc")

    def end() -> None:
        served.client.update_run("abc", state=RunState.CANCELLED)

    meanwhile(end)
    said = verb("logs", "abc", "-f")
    assert (said.code, said.out) == (1, "")
    assert "abc is CANCELLED and has no log: no worker has it" in said.err


@pytest.fixture
def failed_elsewhere(served: ServerThread) -> None:
    fault = FAULT | {"log_tail": "epoch 1\nepoch 2\nCUDA out of memory\n"}
    actor = Actor(served.client, "elsewhere")
    actor.say(actor.start("abc"), "FAILED", "no good", fault)


@pytest.mark.parametrize(
    ("flags", "printed"),
    [
        ([], "epoch 1\nepoch 2\nCUDA out of memory\n"),
        (["-f"], "epoch 1\nepoch 2\nCUDA out of memory\n"),
        (["--tail", "1"], "CUDA out of memory\n"),
        (["--tail", "0"], ""),
        (["--grep", "epoch", "--tail", "1"], "epoch 2\n"),
        (["--attempt", "1", "--tail", "1"], "CUDA out of memory\n"),
    ],
)
def test_of_a_run_that_failed_elsewhere_the_end_is_printed_which_the_server_has(
    verb: Verb, failed_elsewhere: None, flags: list[str], printed: str
) -> None:
    said = verb("logs", "abc", *flags)
    assert (said.code, said.out) == (0, printed)
    assert said.err.startswith("no log of abc: no state of worker elsewhere under ")
    assert said.err.endswith("This is the end of it, which the server has:\n")


def test_of_that_end_neither_times_nor_streams_are_known(verb: Verb, failed_elsewhere: None) -> None:
    line = {"line": None, "t": None, "stream": None, "text": "CUDA out of memory"}
    assert json.loads(verb("logs", "abc", "--tail", "1", "--json").out) == line
    for flags in (["--stderr"], ["--since", "10m"]):
        said = verb("logs", "abc", *flags)
        assert (said.code, said.out) == (1, "")
        assert "leave out --since and --stderr" in said.err


def test_another_attempt_than_the_one_that_failed_has_no_end_at_the_server(verb: Verb, failed_elsewhere: None) -> None:
    said = verb("logs", "abc", "--attempt", "2")
    assert (said.code, said.out) == (1, "")
    assert "the server has" not in said.err
