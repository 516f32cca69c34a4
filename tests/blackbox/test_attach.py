"""A worker without a screen, and the screens that are opened on it afterwards, on real terminals."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, WorkerProcess
from tests.commands import COMMAND, environment, installed
from tests.documents import EACH_ONCE, Line
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

GOES_ON = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[House, WorkerProcess]]:
    with House(tmp_path) as house:
        house.op("goes-on", "/bin/sh", "-c", GOES_ON)
        yield house, house.worker(2)


def attach(house: House, *arguments: str) -> PtySession:
    return PtySession(
        [COMMAND, "attach", *arguments], env=environment(house.root, TERM="xterm-256color"), cwd=house.root
    )


def test_a_run_is_cancelled_from_a_screen_that_comes_and_goes(at_work: tuple[House, WorkerProcess]) -> None:
    house, worker = at_work
    run = house.client.create_run("local://goes-on")
    house.until_state(run, RunState.RUNNING)
    with attach(house, worker.id) as first, attach(house, worker.id) as second:
        for session in (first, second):
            session.wait_for(run.id[:8])
            session.wait_for("line 1")
        first.type("q")
        first.wait_for("Leave?")
        first.type("\r")
        assert first.process.wait(10) == 0
        second.type("\x03")
        assert second.process.wait(10) == 0
    assert worker.alive
    assert house.state(run) is RunState.RUNNING
    with attach(house, worker.id) as session:
        session.wait_for(run.id[:8])
        session.type("x")
        session.wait_for("Cancel this run?")
        session.type("y")
        house.until_state(run, RunState.CANCELLED)
        session.wait_for("⊘ CANCELLED")
        session.close()
    assert worker.alive


def test_a_cockpit_says_that_its_worker_is_silent_and_takes_up_the_next_start(
    at_work: tuple[House, WorkerProcess],
) -> None:
    house, worker = at_work
    with attach(house, worker.id) as session:
        session.wait_for("[CLAIMING")
        worker.process.send_signal(signal.SIGSTOP)
        session.wait_for("no word from the worker")
        worker.process.send_signal(signal.SIGCONT)
        until(lambda: "no word from the worker" not in session.text, "the worker's word")
        worker.kill()
        session.wait_for("no word from the worker")
        worker.start()
        session.wait_for("the worker was started again", 40)
        until(lambda: "no word from the worker" not in session.text, "the worker's word")
        assert worker.drain() == 0
        session.wait_for("the worker has ended: drained")
        session.type("q")
        assert session.process.wait(10) == 0


def test_where_no_worker_runs_or_no_screen_can_be_it_is_said(tmp_path: Path) -> None:
    with PtySession([COMMAND, "attach", "nobody"], env=environment(tmp_path, TERM="xterm"), cwd=tmp_path) as session:
        assert session.process.wait(20) == 2
        session.wait_for("no worker nobody runs here")
    told = installed(tmp_path, "attach")
    assert told.returncode == 2
    assert "stdin is no terminal" in told.stderr


@pytest.mark.parametrize("line", [line for line in EACH_ONCE if line.verb == "attach"], ids=str)
def test_the_documented_lines_open_a_screen(line: Line, at_work: tuple[House, WorkerProcess]) -> None:
    house, worker = at_work
    with attach(house, *(worker.id for _ in line.arguments[1:])) as session:
        session.wait_for("[CLAIMING")
