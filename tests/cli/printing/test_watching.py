"""`runs --watch`, and the question before many runs, as a person sees them at a terminal."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gyoza_tui.cli.printing.run_table import GrowingTable
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.cli.stage import Actor
from tests.commands import COMMAND, Started, environment, installed
from tests.servers import KEY, ServerThread
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

HIDE_CURSOR = b"\x1b[?25l"


@contextmanager
def at_terminal(
    served: ServerThread, home: Path, arguments: Sequence[str], size: tuple[int, int] = (80, 12), **more: str
) -> Iterator[PtySession]:
    env = environment(home, GYOZA_SERVER_URL=served.url, GYOZA_API_KEY=KEY, **{"TERM": "xterm-256color"} | more)
    with PtySession([COMMAND, *arguments], env=env, cwd=home, size=size) as session:
        yield session


def rows(session: PtySession) -> list[list[str]]:
    """State and id of each run on the screen."""
    return [line.split()[:2] for line in session.lines if re.match("[A-Z]+ +run", line)]


def test_it_is_repainted_in_place(served: ServerThread, clean_environment: Path) -> None:
    actor = Actor(served.client)
    served.client.create_run("busybox", id="run-a")
    with at_terminal(served, clean_environment, ["runs", "--watch"]) as session:
        until(lambda: rows(session) == [["PENDING", "run-a"]], "the run")
        run = actor.claim("run-a")
        until(lambda: rows(session) == [["ASSIGNED", "run-a"]], "its new state, in the same place")
        actor.say(run, "STARTED")
        served.client.create_run("busybox", id="run-b")
        until(lambda: rows(session) == [["PENDING", "run-b"], ["RUNNING", "run-a"]], "both")
        assert sum(line.startswith("STATE") for line in session.lines) == 1
        assert all(len(line) <= 80 for line in session.lines)
        session.type("\x03")
        assert session.wait() == 130
        until(lambda: session.raw.rfind(b"\x1b[?7h") > session.raw.rfind(b"\x1b[?7l"), "lines wrap again")
        assert HIDE_CURSOR not in session.raw
        assert session.modes == session.modes_before


def test_more_runs_than_lines_and_another_size(served: ServerThread, clean_environment: Path) -> None:
    for n in range(30):
        served.client.create_run("busybox", id=f"run-{n:02}")
    with at_terminal(served, clean_environment, ["runs", "--watch"]) as session:
        until(lambda: [run for _, run in rows(session)] == [f"run-{n}" for n in range(29, 21, -1)], "the newest")
        session.resize(60, 8)
        until(lambda: [run for _, run in rows(session)] == [f"run-{n}" for n in range(29, 25, -1)], "fewer")
        assert sum(line.startswith("STATE") for line in session.lines) == 1


def test_a_server_that_goes_away_is_waited_for(clean_environment: Path) -> None:
    with ServerThread(clean_environment / "server.db") as served:
        served.client.create_run("busybox", id="run-a")
        with at_terminal(served, clean_environment, ["runs", "--watch"]) as session:
            until(lambda: rows(session) == [["PENDING", "run-a"]], "the run")
            served.stop()
            session.wait_for("the server does not answer")
            assert rows(session) == [["PENDING", "run-a"]], "what was known stays"
            assert session.process.poll() is None


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_colour(served: ServerThread, clean_environment: Path, no_color: str, coloured: bool) -> None:
    served.client.create_run("busybox", id="run-a")
    served.client.update_run("run-a", state=RunState.CANCELLED)
    with at_terminal(served, clean_environment, ["runs"], NO_COLOR=no_color) as session:
        assert session.wait() == 0
        until(lambda: rows(session) == [["CANCELLED", "run-a"]], "the table")
        assert (b"\x1b[33m" in session.raw) is coloured


def test_piped_it_is_a_row_more_for_each_change(served: ServerThread, clean_environment: Path) -> None:
    actor = Actor(served.client)
    served.client.create_run("busybox", id="run-a")
    env = {"GYOZA_SERVER_URL": served.url, "GYOZA_API_KEY": KEY}
    arguments = ("runs", "state:pending,assigned", "--watch")
    with (
        Started(clean_environment, *arguments, env=env, name="words") as words,
        Started(clean_environment, *arguments, "--json", env=env, name="json") as objects,
    ):

        def told() -> tuple[list[str], list[str]]:
            """The states by each."""
            lines = [line.split() for line in words.out.read_text().splitlines()[1:]]
            runs = [OpRun.model_validate_json(line) for line in objects.out.read_text().splitlines()]
            assert {run_id for _, run_id, *_ in lines} | {run.id for run in runs} <= {"run-a"}
            return [state for state, *_ in lines], [run.state.value for run in runs]

        until(lambda: told() == (["PENDING"],) * 2, "the run")
        run = actor.claim("run-a")
        until(lambda: told() == (["PENDING", "ASSIGNED"],) * 2, "its assignment")
        actor.say(run, "STARTED")
        until(lambda: told() == (["PENDING", "ASSIGNED", "RUNNING"],) * 2, "that it matches no more")
        for watching in (words, objects):
            watching.process.send_signal(signal.SIGINT)
            assert watching.process.wait(20) == 130
            assert watching.err.read_text() == ""
        titles, *_, last = words.out.read_text().splitlines()
    assert titles.split() == ["STATE", "RUN", "TRY", "OP", "DONE", "TIME", "CREATED", "WORKER", "NOTE"]
    listed = installed(clean_environment, "runs", "--utc", env=env).stdout.splitlines()
    assert [line.split()[:5] for line in listed] == [line.split()[:5] for line in (titles, last)]


def test_a_table_that_grows_keeps_its_columns_in_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = GrowingTable()
    short, long = (OpRun(id=f"run-{image}", image=image) for image in ("a", "a-long-name"))
    first = table.more_lines([long], [long])
    second = table.more_lines([short], [short, long])
    assert table.more_lines([], []) == []
    assert [line.split()[0] for line in (*first, *second)] == ["STATE", "PENDING", "PENDING"]
    assert second[0].index(" a ") + 1 == first[0].index("OP")


def test_a_terminal_that_cannot_be_painted_gets_lines(served: ServerThread, clean_environment: Path) -> None:
    served.client.create_run("busybox", id="run-a")
    with at_terminal(served, clean_environment, ["runs", "--watch"], TERM="dumb") as session:
        until(lambda: rows(session) == [["PENDING", "run-a"]], "the run")
        served.client.update_run("run-a", state=RunState.CANCELLED)
        until(lambda: rows(session) == [["PENDING", "run-a"], ["CANCELLED", "run-a"]], "a row more")
        assert b"\x1b" not in session.raw


def test_a_person_is_asked(served: ServerThread, clean_environment: Path) -> None:
    for name in ("run-a", "run-b"):
        served.client.create_run("busybox", id=name)
    with at_terminal(served, clean_environment, ["cancel", "state:pending"]) as session:
        session.wait_for("Cancel 2 runs: 2 PENDING? [y/N]")
        assert [run for _, run in rows(session)] == ["run-b", "run-a"]
        session.type("y\r")
        assert session.wait() == 0
        session.wait_for("run-a CANCELLED")
    with at_terminal(served, clean_environment, ["retry", "--state", "cancelled"]) as session:
        session.wait_for("Retry 2 runs: 2 CANCELLED? [y/N]")
        session.type("\x03")
        assert session.wait() == 130
    assert {run.state for run in served.client.list_runs().items} == {RunState.CANCELLED}


@pytest.mark.parametrize("columns", [60, 44])
def test_a_narrow_terminal(served: ServerThread, clean_environment: Path, columns: int) -> None:
    Actor(served.client, "a-worker-with-a-long-name").fail("run-a", image="registry.local/some/long/name:1.2.3")
    with at_terminal(served, clean_environment, ["runs"], size=(columns, 12)) as session:
        assert session.wait() == 0
        until(lambda: rows(session) == [["FAILED", "run-a"]], "the table")
        assert len([line for line in session.lines if line]) == 2, "no line is wrapped"
