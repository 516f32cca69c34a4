"""What the screen says, and what it lets a person do, while its worker is silent, has ended, or is another one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gyoza_tui.ui.contact_line import ContactLine
from gyoza_tui.ui.keys.refusals import SILENT_S, lost
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.screens.main import MainScreen
from gyoza_tui.ui.screens.quit import QuitDialog
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.ui.widgets.key_bar import KeyBar
from gyoza_tui.worker.view.control import Contact
from gyoza_tui.worker.view.run_views import view_of
from gyoza_tui.worker.view.snapshot import Outcome
from tests.ui.attached.stage import opened
from tests.ui.fake_control import FakeControl, row, snapshot
from tests.ui.keys.app import Opened, dialog_text, run, running, toasts, until
from tests.ui.main.stage import rows_of

SILENT = Contact(silent_s=12.0)
ENDED = Contact(ended="drained")
SENT_BY = ("p", "x", "D", "r", "s", "v", "e", "R")
"""The keys of what only the worker can do."""


def at_work() -> FakeControl:
    failed = view_of(row(2, "93bb10f2", "train:1", outcome=Outcome.FAILED, outcome_at=1773454400.0))
    return FakeControl(snapshot(runs=(running(1, "a1b2c3d4"),)), [failed])


async def lose(here: Opened, contact: Contact) -> None:
    here.fake.connected = contact
    here.app.tick()
    await here.pilot.pause()


def last_row(here: Opened) -> str:
    return rows_of(here.app)[-1].strip()


def test_from_three_seconds_on_silence_is_said_with_its_age() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            before = rows_of(here.app)
            await lose(here, Contact(silent_s=SILENT_S - 0.1))
            assert rows_of(here.app) == before
            await lose(here, Contact(silent_s=SILENT_S))
            assert last_row(here).startswith("no word from the worker for 0:03  what you see is as old")
            assert last_row(here).endswith("q leave")
            assert rows_of(here.app)[:-1] == before[:-1], "nothing else moves"
            await lose(here, Contact(silent_s=754))
            assert "for 12:34" in last_row(here)
            await lose(here, Contact())
            assert rows_of(here.app) == before
            assert not here.app.screen.query(ContactLine)

    run(look())


def test_what_is_old_is_grey_and_the_line_is_not() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await lose(here, SILENT)
            screen = here.app.screen
            for name in ("Header", "RunList", "LogView", "Rule"):
                assert all(widget.styles.tint.a > 0.5 for widget in screen.query(name)), name
            assert screen.query_one(ContactLine).styles.tint.a == 0
            assert not screen.query_one(KeyBar).size.height
            await lose(here, Contact())
            assert not any(widget.styles.tint.a for widget in screen.query("*"))
            assert screen.query_one(KeyBar).size.height == 1

    run(look())


@pytest.mark.parametrize("contact", [SILENT, ENDED], ids=["silent", "ended"])
def test_what_only_the_worker_can_do_is_refused_and_not_sent(contact: Contact) -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await lose(here, contact)
            for key in SENT_BY:
                here.app.clear_notifications()
                await here.press(key)
                assert len(here.app.screen_stack) == 1
                assert not here.fake.asked
                assert toasts(here.app) == [lost(contact)]

    run(look())


@pytest.mark.parametrize("keys", [("x",), ("D",), ("q", "j", "j"), ("q", "j", "j", "j")])
def test_a_question_that_was_open_sends_nothing_either(keys: tuple[str, ...]) -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await here.press(*keys)
            await lose(here, SILENT)
            await here.press("y")
            assert not here.fake.asked
            assert toasts(here.app) == ["no word from the worker for 0:12"]
            assert here.app.is_running

    run(look())


def test_a_worker_that_takes_its_time_holds_up_no_event_loop() -> None:
    class Slow(FakeControl):
        begun = threading.Event()
        let_go = threading.Event()

        def pause(self) -> None:
            self.begun.set()
            assert self.let_go.wait(5), "the event loop waits for it"
            super().pause()

    async def look() -> None:
        async with opened(Slow(snapshot())) as here:
            pressing = asyncio.create_task(here.press("p"))
            await until(Slow.begun.is_set, "the call")
            Slow.let_go.set()
            await pressing
            await until(lambda: "[PAUSED" in rows_of(here.app)[0], "the pause")

    run(look())


def test_what_needs_no_worker_goes_on() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await lose(here, SILENT)
            await here.press("j", "3", "m", "escape", "question_mark", "escape", "2", "enter")
            assert isinstance(here.app.screen, RunScreen)
            here.app.tick()
            await here.pilot.pause()
            assert last_row(here).endswith("q back")

    run(look())


def test_an_end_is_said_in_its_words_and_q_leaves_at_once() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await lose(here, ENDED)
            assert last_row(here).startswith("the worker has ended: drained  its next start is shown here")
            await here.press("q")
            assert not here.app.is_running

    run(look())


def test_why_the_worker_does_not_take_this_screen_is_said() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await lose(here, Contact(silent_s=12.0, refused="8 cockpits look at this worker already"))
            assert last_row(here).startswith("not connected: 8 cockpits look at this worker already  trying again")

    run(look())


def test_another_life_closes_what_was_opened_on_the_one_before() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await here.press("enter", "x")
            assert len(here.app.screen_stack) == 3
            await lose(here, ENDED)
            await lose(here, Contact(life=("again", 2)))
            assert isinstance(here.app.screen, MainScreen)
            assert toasts(here.app) == ["the worker was started again"]
            assert not here.app.screen.query(ContactLine)
            here.app.clear_notifications()
            await lose(here, Contact(life=("again", 2)))
            assert not toasts(here.app)

    run(look())


def test_q_asks_with_leaving_first_and_escape_stays() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await here.press("q")
            assert isinstance(here.app.screen, QuitDialog)
            assert dialog_text(here.app).splitlines()[2].startswith("Leave the screen, the worker goes on")
            await here.press("escape")
            assert isinstance(here.app.screen, MainScreen)
            await here.press("q", "enter")
            assert here.app.return_value is Leave.BACKGROUND
            assert not here.fake.asked

    run(look())


def test_ctrl_c_leaves_at_once_unless_something_is_selected() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            here.app.screen.query_one("Header").text_select_all()
            await here.press("ctrl+c")
            await until(lambda: toasts(here.app), "the copy")
            assert here.app.is_running
            here.app.screen.clear_selection()
            await here.press("ctrl+c")
            assert here.app.return_value is Leave.BACKGROUND
            assert not here.fake.asked

    run(look())


def test_at_every_size_the_line_is_the_last_and_the_badge_stays_where_there_are_two() -> None:
    async def look() -> None:
        async with opened(at_work()) as here:
            await lose(here, SILENT)
            for size in ((60, 20), (30, 8), (29, 7), (20, 3), (20, 1), (12, 2)):
                await here.pilot.resize_terminal(*size)
                await here.pilot.pause()
                assert "0:" in last_row(here)
                assert size == (20, 1) or "[CLAIM" in rows_of(here.app)[0]
            await here.pilot.resize_terminal(160, 45)
            await here.pilot.pause()
            assert last_row(here).startswith("no word from the worker for 0:12  what you see is as old")

    run(look())
