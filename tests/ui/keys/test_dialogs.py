"""Nothing is lost without a dialog that names it, and a y."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui.keys import refusals
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.screens.about_run import AboutRun
from gyoza_tui.ui.screens.dialog import Dialog
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.worker.view.control import Ending
from gyoza_tui.worker.view.snapshot import Intent, LinkState, Outcome, RunView
from tests.ui.fake_control import NOW, snapshot, wanted
from tests.ui.keys.app import Opened, dialog_text, opened, run, running, toasts, until

RUNS = (running(1, "a1b2c3d4"), running(2, "77fe01aa", "train"))
FAILED = running(3, "93bb10f2", outcome=Outcome.FAILED, outcome_at=NOW - 5, acked=True)
HOSTILE = running(4, "[/foo]\x1b]0;x\x07", "[b]\x1b[2J\nop[/b]")


@asynccontextmanager
async def on_a_run(view: RunView, size: tuple[int, int] = (100, 30)) -> AsyncIterator[Opened]:
    async with opened(snapshot(runs=(view, *(other for other in RUNS if other.key != view.key))), size=size) as here:
        await here.app.push_screen(RunScreen(here.fake, here.app.options, view))
        yield here


def commands(here: Opened) -> list[tuple[Any, ...]]:
    """What it was asked but for looking."""
    return [asked for asked in here.fake.asked if asked[0] not in ("seen", "describe")]


YES = (["y"], ["down", "enter"], ["tab", "enter"], ["down", "y"])
NO = (["enter"], ["n"], ["escape"], ["q"], ["ctrl+q"], ["ctrl+c"], ["x", "D", "p", "R", "enter"], ["down", "n"])


def test_cancel_takes_its_dialog_and_a_yes() -> None:
    async def press() -> None:
        async with on_a_run(RUNS[0]) as here:
            for keys in (*YES, *NO):
                here.fake.asked.clear()
                await here.press("x")
                words = dialog_text(here.app)
                assert "a1b2c3d4" in words
                assert "classify@1.0.0" in words
                assert "3:10" in words
                await here.press(*keys)
                assert not isinstance(here.app.screen, Dialog)
                assert commands(here) == ([("cancel", "a1b2c3d4", 1)] if keys in YES else []), keys

    run(press())


def test_cancel_of_a_parent_says_what_else_is_cancelled() -> None:
    family = (
        running(5, "parent11", waiting_since=NOW - 9, waits_left=3, waits_of=8)._replace(may_submit=True),
        running(6, "child666")._replace(parent_id="parent11"),
        running(7, "below777")._replace(parent_id="child666"),
        running(8, "ended888", outcome=Outcome.COMPLETED)._replace(parent_id="parent11"),
        running(9, "other999"),
    )

    async def press() -> None:
        async with opened(snapshot(runs=family)) as here:
            await here.app.push_screen(RunScreen(here.fake, here.app.options, family[0]))
            await here.press("x")
            words = " ".join(dialog_text(here.app).split())
            assert "Its children that have not ended are cancelled too, wherever they are" in words
            assert "It waits for 3 of 8. 2 runs below it are at this worker: child666" in words
            assert "below777" in words
            assert not {"ended888", "other999"} & set(words.split())
            await here.press("n")
            await here.app.push_screen(RunScreen(here.fake, here.app.options, family[1]))
            await here.press("x")
            assert "children" not in dialog_text(here.app)

    run(press())


def test_retry_says_that_it_may_go_elsewhere() -> None:
    async def press() -> None:
        async with on_a_run(FAILED) as here:
            await here.press("r")
            assert "93bb10f2" in dialog_text(here.app)
            assert "another worker" in dialog_text(here.app)
            await here.press("y")
            await until(lambda: commands(here), "the retry")
            assert commands(here) == [("retry", "93bb10f2")]
            await until(lambda: toasts(here.app), "what came of it")
            assert toasts(here.app) == ["93bb10f2 is queued again"]

    run(press())


def test_a_retry_that_fails_says_why() -> None:
    async def press() -> None:
        async with on_a_run(FAILED) as here:
            here.fake.trouble = "connection refused by [/foo]"
            await here.press("r", "y")
            await until(lambda: toasts(here.app), "what came of it")
            assert toasts(here.app) == ["connection refused by [/foo]"]

    run(press())


def test_release_is_in_the_palette_only_and_asks() -> None:
    async def press() -> None:
        async with on_a_run(RUNS[1]) as here:
            await here.press("colon", *"release")
            await until(lambda: here.app.screen.query_one("CommandList").option_count == 1, "the one hit")  # type: ignore[attr-defined]
            await here.press("enter")
            await until(lambda: isinstance(here.app.screen, Dialog), "the dialog")
            assert "77fe01aa" in dialog_text(here.app)
            await here.press("y")
            assert commands(here) == [("release", "77fe01aa", 1)]

    run(press())


@pytest.mark.parametrize(
    ("action", "changes", "words"),
    [
        ("freeze", {}, "keeps slot and memory"),
        ("thaw", {"frozen_since": NOW - 9, "freeze_by": "anna"}, "go on where they were paused"),
        ("thaw", {"frozen_since": NOW - 9}, "go on where they were paused"),
        ("thaw", {"freeze_by": "anna"}, "go on where they were paused"),
    ],
)
def test_freeze_and_thaw_ask(action: str, changes: dict[str, Any], words: str) -> None:
    async def press() -> None:
        async with on_a_run(RUNS[0]._replace(**changes)) as here:
            for key in "ny":
                await here.app.run_action(f"screen.{action}")
                await until(lambda: isinstance(here.app.screen, Dialog), "the dialog")
                assert "a1b2c3d4" in dialog_text(here.app)
                assert words in " ".join(dialog_text(here.app).split())
                assert commands(here) == []
                await here.press(key)
            await until(lambda: commands(here) == [(action, RUNS[0].key)], "what it is asked")

    run(press())


@pytest.mark.parametrize(
    ("action", "view", "why"),
    [
        ("freeze", RUNS[0]._replace(frozen_since=NOW - 9), "a1b2c3d4 is frozen already"),
        ("freeze", FAILED, "93bb10f2 is FAILED: only a run at work can be frozen"),
        ("thaw", RUNS[0], "a1b2c3d4 is RUNNING: only a frozen run can be thawed"),
        ("thaw", FAILED._replace(freeze_by="anna"), "93bb10f2 is FAILED: only a frozen run can be thawed"),
    ],
)
def test_what_can_be_neither_frozen_nor_thawed_says_why(action: str, view: RunView, why: str) -> None:
    async def press() -> None:
        async with on_a_run(view) as here:
            await here.app.run_action(f"screen.{action}")
            await until(lambda: toasts(here.app), "why")
            assert toasts(here.app) == [why]
            assert commands(here) == []

    run(press())


def test_a_freeze_that_fails_says_why() -> None:
    async def press() -> None:
        async with on_a_run(RUNS[0]) as here:
            here.fake.trouble = "no backend for [/foo]"
            await here.app.run_action("screen.freeze")
            await here.press("y")
            await until(lambda: toasts(here.app), "what came of it")
            assert toasts(here.app) == ["no backend for [/foo]"]

    run(press())


@pytest.mark.parametrize(
    ("view", "key", "why"),
    [
        (FAILED, "x", "93bb10f2 has ended already: FAILED"),
        (RUNS[0]._replace(intent=Intent.CANCEL), "x", "a1b2c3d4 is being stopped already"),
        (RUNS[0], "r", "a1b2c3d4 has not ended: cancel it first"),
        (FAILED, "e", "93bb10f2 has ended: there is no container to look into"),
        (running(9, "new", start_asked=False), "e", "new has no container yet"),
        (RUNS[0], "R", "the server answers: there is nothing to wait for"),
    ],
)
def test_what_cannot_be_done_now_says_why(view: RunView, key: str, why: str) -> None:
    async def press() -> None:
        async with on_a_run(view) as here:
            await here.press(key)
            assert toasts(here.app) == [why]
            assert commands(here) == []

    run(press())


def test_a_run_that_ends_under_its_dialog_is_told_not_cancelled() -> None:
    async def press() -> None:
        async with on_a_run(RUNS[0]) as here:
            here.fake.cancel = lambda run_id, attempt: False  # type: ignore[method-assign]
            await here.press("x", "y")
            assert toasts(here.app) == ["a1b2c3d4 has ended meanwhile"]

    run(press())


def test_names_from_outside_stay_words() -> None:
    async def press() -> None:
        async with on_a_run(HOSTILE) as here:
            await here.press("x")
            words = dialog_text(here.app)
            assert "[/foo]" in words
            assert "[b]" in words
            assert "\x1b" not in words
            await here.press("y", "D")
            assert "[/foo]" in dialog_text(here.app)
            await here.press("n", "r")
            assert toasts(here.app)[-1].startswith("[/foo]")

    run(press())


def test_drain_names_what_will_finish_and_is_undone_by_the_same_key() -> None:
    async def press() -> None:
        async with opened(snapshot(runs=RUNS, to_deliver=3)) as here:
            await here.press("D")
            words = dialog_text(here.app)
            assert "a1b2c3d4" in words
            assert "77fe01aa" in words
            assert "3 reports" in words
            await here.press("y")
            assert here.fake.asked == [("end", Ending.DRAIN)]
            await here.press("D")
            assert here.fake.asked == [("end", Ending.DRAIN), ("undo_drain",)]

    run(press())


def test_a_drain_says_that_it_claims_what_runs_wait_for() -> None:
    async def press() -> None:
        parent = running(5, "parent11", waiting_since=NOW - 9, waits_left=3, waits_of=8)
        for runs, words in (((parent,), "Only what runs here wait for is claimed"), (RUNS, "Nothing new is claimed")):
            async with opened(snapshot(runs=runs)) as here:
                await here.press("D")
                assert words in dialog_text(here.app)

    run(press())


def test_a_long_list_of_runs_is_counted() -> None:
    async def press() -> None:
        many = tuple(running(n, f"run-{n}") for n in range(30))
        async with opened(snapshot(runs=many), size=(80, 24)) as here:
            await here.press("D")
            assert "and 22 more" in dialog_text(here.app)

    run(press())


@pytest.mark.parametrize(
    ("state", "asked"), [(WorkerState.CLAIMING, "pause"), (WorkerState.PAUSED, "resume"), (WorkerState.DRAINING, None)]
)
def test_pause_and_resume_need_no_dialog(state: WorkerState, asked: str | None) -> None:
    async def press() -> None:
        async with opened(snapshot(state=state)) as here:
            await here.press("p")
            assert here.fake.asked == ([(asked,)] if asked else [])
            assert bool(toasts(here.app)) is (asked is None)

    run(press())


@pytest.mark.parametrize(
    ("key", "state", "words", "asked"),
    [
        ("p", WorkerState.PAUSED, "Paused by anna", "resume"),
        ("D", WorkerState.DRAINING, "Drained by anna", "undo_drain"),
    ],
)
def test_what_the_server_wants_is_overridden_by_a_dialog_that_names_who_wants_it(
    key: str, state: Any, words: str, asked: str
) -> None:
    async def press() -> None:
        async with opened(snapshot(state=state, wanted=wanted(state))) as here:
            before = here.fake.now
            for keys in (*YES, *NO):
                here.fake.asked.clear()
                here.fake.now = before
                here.app.tick()
                await here.press(key)
                assert f"{words} at the server since 02:04" in dialog_text(here.app)
                await here.press(*keys)
                assert not isinstance(here.app.screen, Dialog)
                assert here.fake.asked == ([(asked,)] if keys in YES else []), keys

    run(press())


def test_a_yes_is_for_what_the_dialog_named() -> None:
    async def press() -> None:
        async with opened(snapshot(state=WorkerState.PAUSED, wanted=wanted(WorkerState.PAUSED))) as here:
            await here.press("p")
            here.fake.now = here.fake.now._replace(wanted=wanted(WorkerState.PAUSED, seq=2, by="bob"))
            await here.press("y")
            assert here.fake.asked == []
            assert any("changed meanwhile" in toast for toast in toasts(here.app))

    run(press())


def test_try_now_when_the_server_is_silent() -> None:
    async def press() -> None:
        async with opened(snapshot(link=LinkState(trouble="refused"), next_try_s=20)) as here:
            await here.press("R")
            assert here.fake.asked == [("try_now",)]

    run(press())


@pytest.mark.parametrize(("key", "left"), [("y", Leave.BACKGROUND), ("n", None), ("ctrl+z", None)])
def test_ctrl_z_says_why_nothing_is_stopped_and_offers_to_leave_the_screen(key: str, left: Leave | None) -> None:
    async def press() -> None:
        async with opened(snapshot(runs=RUNS)) as here:
            await here.press("ctrl+z")
            assert "without its heartbeats it would lose its runs" in dialog_text(here.app)
            await here.press(key)
            assert here.fake.asked == []
            assert here.app.return_value is left

    run(press())


@pytest.mark.parametrize(
    ("downs", "asked", "left"),
    [
        (0, [], None),
        (1, [], Leave.BACKGROUND),
        (2, [("end", Ending.DRAIN)], None),
        (3, [("end", Ending.DETACH)], Leave.ENDED),
    ],
)
def test_leaving_asks_what_becomes_of_the_worker(downs: int, asked: list[tuple[Any, ...]], left: Leave | None) -> None:
    async def press() -> None:
        async with opened(snapshot(runs=RUNS)) as here:
            for key in ("q", "escape", "ctrl+q", "n", "ctrl+c", "ctrl+c", "q"):
                await here.press(key)
            assert "2 runs" in dialog_text(here.app)
            await here.press(*["down"] * downs, "enter")
            assert here.fake.asked == asked
            assert here.app.return_value is left
            assert here.app.is_running is (left is None)

    run(press())


@pytest.mark.parametrize(("last", "cancelled"), [("y", True), ("enter", False), ("escape", False)])
def test_cancel_all_and_exit_lists_the_runs_and_asks_again(last: str, cancelled: bool) -> None:
    async def press() -> None:
        async with opened(snapshot(runs=RUNS)) as here:
            await here.press("q", "up", "enter")
            words = dialog_text(here.app)
            assert "a1b2c3d4" in words
            assert "77fe01aa" in words
            assert here.fake.asked == []
            await here.press(last)
            expected = [("end", Ending.DRAIN), ("cancel", "a1b2c3d4", 1), ("cancel", "77fe01aa", 1)]
            assert here.fake.asked == (expected if cancelled else [])
            assert here.app.is_running

    run(press())


def test_the_leave_dialogs_numbers_are_those_of_now() -> None:
    async def look() -> None:
        async with opened(snapshot(runs=RUNS)) as here:
            await here.press("q", "down")
            here.fake.now = snapshot(runs=RUNS[:1], to_deliver=1)
            here.app.tick()
            words = dialog_text(here.app)
            assert "1 run here" in words
            assert "1 to deliver" in words
            await here.press("enter")
            assert here.app.return_value is Leave.BACKGROUND

    run(look())


@pytest.mark.parametrize("size", [(160, 45), (80, 24), (40, 12), (30, 8), (20, 5)])
def test_the_choices_are_in_sight_at_any_size(size: tuple[int, int]) -> None:
    async def look() -> None:
        async with opened(snapshot(runs=RUNS), size=size) as here:
            await here.press("D")
            await here.pilot.pause()
            choices = here.app.screen.query_one("OptionList")
            assert here.app.screen.region.contains_region(choices.region)
            assert choices.region.height >= 2

    run(look())


def test_the_run_that_is_cancelled_is_the_one_that_was_under_the_cursor_at_the_key() -> None:
    async def press() -> None:
        async with opened(snapshot(runs=RUNS)) as here:
            main = here.app.screen
            assert isinstance(main, AboutRun)
            meant = main.shown_run
            assert meant is not None
            await here.press("x")
            others = tuple(view for view in RUNS if view.key != meant.key)
            here.fake.now = snapshot(runs=(running(9, "new"), *others), history_version=1)
            here.app.tick()
            await until(lambda: main.shown_run != meant, "the cursor on another run")
            assert meant.run_id in dialog_text(here.app)
            await here.press("y")
            assert here.fake.asked == [("cancel", meant.run_id, 1)]

    run(press())


def test_what_has_completed_or_is_of_another_server_is_not_offered_again() -> None:
    now = snapshot()
    assert "has completed" in (refusals.retry(running(1, "93bb10f2", outcome=Outcome.COMPLETED), now) or "")
    assert refusals.retry(FAILED, now) is None
    here, there = (LinkState(registered=True, server_id=id_) for id_ in (FAILED.server_id, "another"))
    assert refusals.retry(FAILED, now._replace(link=here)) is None
    assert "another server" in (refusals.retry(FAILED, now._replace(link=there)) or "")
