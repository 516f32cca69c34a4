"""A terminal that stops reading, or is gone, while a run floods: the worker does not notice."""

from __future__ import annotations

import random
import time

import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.ui.terminal.desk import NAME, Desk
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

SEED = 20260314
RIGHT_S = 1.0
"""How soon after the terminal reads again the screen must be right."""


def completed(desk: Desk, run: OpRun) -> None:
    assert desk.house.ended(run).state is RunState.COMPLETED


def keep_repainting(session: PtySession, seconds: float) -> None:
    """Whole screens for all that time: far more than a terminal takes without reading."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.type("?")
        time.sleep(0.15)
        session.type("\x1b")
        time.sleep(0.15)


@pytest.mark.parametrize("seconds", [6, *(pytest.param(long, marks=pytest.mark.long) for long in (20, 60))])
def test_a_terminal_that_reads_again_shows_what_is(seconds: int, desk: Desk) -> None:
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(seconds + 1)
        session.stop_reading()
        before = len(session.raw)
        keep_repainting(session, seconds)
        assert len(session.raw) == before
        session.type("?")
        session.read_again()
        session.wait_for("esc closes", RIGHT_S)
        session.type("\x1b")
        until(lambda: "esc closes" not in session.text and NAME in session.text, "the main screen", RIGHT_S)
        completed(desk, run)
        desk.ends_well(session)


def test_a_terminal_that_does_not_read_holds_up_no_end(desk: Desk) -> None:
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(2.5)
        session.stop_reading()
        keep_repainting(session, 1.5)
        desk.ends_well(session)
    completed(desk, run)


def test_a_terminal_that_closes_unread_is_done_without(desk: Desk) -> None:
    with desk.screen() as session, desk.heartbeats():
        run = desk.flood(2.5)
        session.stop_reading()
        keep_repainting(session, 1.5)
        session.close()
        until(lambda: "the terminal is gone" in desk.log.read_text(), "the end of the screen", 2)
        desk.ends_well(session)
    completed(desk, run)


@pytest.mark.parametrize("moments", [2, pytest.param(20, marks=pytest.mark.long)])
def test_a_terminal_may_close_at_any_moment(moments: int, desk: Desk) -> None:
    dice = random.Random(SEED)
    for _ in range(moments):
        with desk.screen() as session, desk.heartbeats():
            run = desk.flood(1.5)
            time.sleep(dice.uniform(0, 1))
            session.close()
            desk.ends_well(session)
        completed(desk, run)
