"""However the screen ends, the worker and the terminal are as if it had never been."""

from __future__ import annotations

import signal
import time

import psutil

from gyoza_tui.models.states import RunState
from tests.commands import COMMAND
from tests.ui.terminal.desk import CRASH, NAME, Desk, times_on_screen
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

STUCK = "while True: pass"


def crashed(session: PtySession, times: int) -> None:
    session.type("?")
    until(lambda: not session.on_screen, "the end of the screen")
    until(lambda: session.modes == session.modes_before, "the terminal as it was")
    assert times_on_screen(session) == times


def test_a_crash_leaves_the_worker_and_enter_opens_the_screen_again(desk: Desk) -> None:
    with desk.broken_screen(CRASH) as session, desk.heartbeats():
        run = desk.flood(2)
        crashed(session, 1)
        session.wait_for("Enter opens it again")
        assert session.text.count("the screen broke, the worker goes on: RuntimeError: no such widget") == 1
        assert "Traceback" not in session.text
        log = desk.log.read_text()
        assert "Traceback" in log
        assert "in action_help" in log
        session.type("\r")
        until(lambda: session.on_screen and NAME in session.text, "the screen again")
        assert desk.house.ended(run).state is RunState.COMPLETED

        crashed(session, 2)
        session.wait_for("it stays closed")
        session.type("\r\r")
        session.signal(signal.SIGTERM)
        assert session.wait() == 0
        assert times_on_screen(session) == 2
    assert b"hunter2" not in session.raw
    assert "hunter2" not in desk.log.read_text()


def test_a_screen_that_hangs_does_not_hold_up_the_end(desk: Desk) -> None:
    with desk.broken_screen(STUCK) as session, desk.heartbeats():
        run = desk.flood(2)
        session.type("?")
        time.sleep(0.5)
        desk.ends_well(session)
    assert desk.house.ended(run).state is RunState.COMPLETED


def test_leaving_the_screen_leaves_the_worker(desk: Desk) -> None:
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(60)
        session.type("q")
        session.wait_for("the worker goes on")
        session.type("\x1b[B\r")
        session.wait_for("Enter opens it again")
        until(lambda: session.modes == session.modes_before, "the terminal as it was")
        desk.end_floods()
        session.wait_for(f"{run.id} completed")
        session.type("\r")
        until(lambda: session.on_screen, "the screen again")
        session.wait_for(NAME)
        desk.ends_well(session)


def test_nothing_stops_the_process_or_takes_the_screen_twice(desk: Desk) -> None:
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(2)
        session.type("\x1a")
        session.wait_for("Leave the screen?")
        for _ in range(3):
            for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
                session.signal(number)
                time.sleep(0.1)
                assert psutil.Process(session.process.pid).status() != psutil.STATUS_STOPPED
        session.type("n")
        until(lambda: "Leave the screen?" not in session.text, "the end of the dialog")
        session.type("?")
        session.wait_for("esc closes")
        assert desk.house.ended(run).state is RunState.COMPLETED
        assert times_on_screen(session) == 1
        desk.ends_well(session)


def test_hang_ups_as_bash_sends_them(desk: Desk) -> None:
    """The terminal is still there in this one, and left as it was."""
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(2)
        for _ in range(2):
            session.signal(signal.SIGHUP)
            session.signal(signal.SIGCONT)
        until(lambda: not session.on_screen, "the end of the screen")
        until(lambda: session.modes == session.modes_before, "the terminal as it was")
        session.wait_for("Enter opens it again")
        assert desk.house.ended(run).state is RunState.COMPLETED
        assert times_on_screen(session) == 1
        desk.ends_well(session)
    assert psutil.pid_exists(session.process.pid) is False


def test_the_end_that_the_worker_was_asked_for_ends_the_screen(desk: Desk) -> None:
    with desk.screen() as session:
        session.type("D")
        session.wait_for("Drain this worker?")
        session.type("y")
        assert session.wait() == 0
        until(lambda: not session.on_screen, "the end of the screen")
        session.wait_for("the worker has ended, exit code 0")
        assert session.modes == session.modes_before


def test_a_stop_that_nobody_can_catch_then_fg(desk: Desk) -> None:
    """SIGSTOP: the shell takes the terminal, and writes on it."""
    with desk.started("bash", "--norc", "--noprofile", "-i") as session:
        session.type(f"{COMMAND}\n")
        until(lambda: session.on_screen and NAME in session.text, "the screen")
        desk.until_known()
        ours = session.modes
        (worker,) = psutil.Process(session.process.pid).children()
        worker.suspend()
        until(lambda: b"Stopped" in session.raw, "the shell's word")
        until(lambda: session.modes != ours, "the shell's terminal")
        session.type("clear; fg\n")
        until(lambda: session.modes == ours, "the screen's terminal")
        until(lambda: "q leave" in session.text and NAME in session.text, "the screen")
        session.type("?")
        session.wait_for("esc closes")
        assert "Stopped" not in session.text
        worker.terminate()
        worker.wait(20)
        until(lambda: not session.on_screen, "the terminal without a screen")
