"""The screen of one run: its log, what is known of it here and at the server, the engine's view."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from textual.widgets import Static

from gyoza_tui.models.runs import Event, ExecutionSummary, OpAttempt, OpRun
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.ui.children_question import ASK_S
from gyoza_tui.ui.run.text import json_lines, run_text
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.ui.widgets.key_bar import KeyBar
from gyoza_tui.ui.widgets.log_view import LogView
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import Child, Children, LogLine, RunDetails, Stream
from gyoza_tui.worker.view.snapshot import Exit, Outcome, RetryNotice, RunView, StepView
from tests.ui.fake_control import BOOT, NOW, snapshot
from tests.ui.keys.app import Opened, opened, run, running, toasts, until

RUN = running(1, "a1b2c3d4")
STEPS = (
    StepView("prepare_inputs", NOW - 100, NOW - 99.8),
    StepView("run_container", NOW - 99, NOW),
    StepView("odd[/b]"),
)
FAILED = running(2, "93bb10f2", "train")._replace(
    outcome=Outcome.FAILED,
    outcome_note="oom_killed, 64 G asked",
    outcome_at=NOW,
    acked=True,
    exit=Exit(137, "SIGKILL", oom=True),
    last_line="Killed process 4121",
    steps=STEPS,
    seen=False,
)


@asynccontextmanager
async def on(view: RunView) -> AsyncIterator[tuple[Opened, RunScreen]]:
    async with opened(snapshot(runs=(view,))) as here:
        here.fake.logs = {view.key: [b"line %d" % n for n in range(50)]}
        screen = RunScreen(here.fake, here.app.options, view)
        await here.app.push_screen(screen)
        yield here, screen


def shown(screen: RunScreen, tab: str) -> str:
    return str(screen.query_one(f"#{tab}-text", Static).content)


def test_a_failed_run_is_marked_as_seen_and_another_is_not() -> None:
    async def look() -> None:
        async with on(FAILED) as (here, _):
            await until(lambda: ("seen", 2) in here.fake.asked, "that it was seen")
        async with on(RUN) as (here, _):
            await here.press("tab", "tab")
            await until(lambda: ("describe", 1) in here.fake.asked, "the description")
            assert ("seen", 1) not in here.fake.asked

    run(look())


def test_tab_goes_round_the_tabs() -> None:
    async def look() -> None:
        async with on(FAILED) as (here, screen):
            assert screen.query_one("#run").display, "a failed run opens at why it failed"
            await until(lambda: "oom_killed, 64 G asked" in shown(screen, "run"), "why it failed")
            assert "│ line 49" in shown(screen, "run")
            await here.press("tab")
            await until(lambda: "TOKEN=***" in shown(screen, "inspect"), "the engine's view")
            await here.press("tab")
            assert screen.query_one("#log").display
            await here.press("shift+tab", "shift+tab")
            assert screen.query_one("#run").display

    run(look())


@pytest.mark.parametrize(("key", "tab"), [("1", "log"), ("2", "run"), ("3", "inspect")])
def test_a_tab_has_a_number(key: str, tab: str) -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            await here.press("tab" if key == "1" else "1", key)
            assert screen.query_one(f"#{tab}").display

    run(look())


def test_a_failure_is_stated_once() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    payload = {"reason": "oom_killed", "message": "used more than its limit"}
    event = Event(id=0, type=EventType.FAILED, t=at, msg="oom_killed: used more than its limit", payload=payload)
    error = ExecutionSummary(error_message=f"used more than its limit: {FAILED.last_line}")
    attempt = OpAttempt(
        id="x", op_run_id="93bb10f2", attempt=1, state=RunState.FAILED, execution_summary=error
    )  # fmt: skip
    server = OpRun(id=FAILED.run_id, image=FAILED.image, state=RunState.FAILED, events=[event], attempts=[attempt])
    text = run_text(RunDetails(FAILED, server, None, ()), [], NOW, UTC).plain
    assert text.count("oom_killed") == 1
    assert text.count(FAILED.last_line) == 1
    other = event.model_copy(update={"payload": {"reason": "worker_lost"}, "msg": "worker_lost: silent"})
    server = server.model_copy(update={"events": [other]})
    assert "worker_lost: silent" in run_text(RunDetails(FAILED, server, None, ()), [], NOW, UTC).plain


def test_a_server_that_does_not_answer_is_said_in_words() -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            here.fake.trouble = "connection refused [/b]"
            await here.press("tab")
            await until(lambda: shown(screen, "run") == "connection refused [/b]", "the trouble")
            await here.press("tab")
            await until(lambda: shown(screen, "inspect") == "connection refused [/b]", "the trouble")

    run(look())


def test_it_is_read_again_when_something_changes_and_only_then() -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            await here.press("tab", "tab")
            await until(lambda: here.fake.asked.count(("describe", 1)) == 1, "the description")
            for _ in range(5):
                here.app.tick()
            await here.pilot.pause()
            assert here.fake.asked.count(("describe", 1)) == 1
            here.fake.now = snapshot(runs=(RUN._replace(step="complete_oprun"),))
            here.app.tick()
            await until(lambda: here.fake.asked.count(("describe", 1)) == 2, "the description again")
            assert screen.shown_run.step == "complete_oprun"

    run(look())


def test_a_run_that_has_left_the_snapshot_is_still_shown() -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            ended = RUN._replace(outcome=Outcome.COMPLETED, acked=True, cleaned=True)
            here.fake.now, here.fake.past = snapshot(history_version=1), [ended]
            await here.press("tab")
            here.app.tick()
            await until(lambda: screen.shown_run == ended, "how it ended")

    run(look())


def _children(*states: str, more: bool = False) -> Children:
    found = [Child(f"child{n}", "embed@1.0.0", state, 1, 40.0 * n, "lab") for n, state in enumerate(states)]
    return Children(tuple(found), more)


PARENT = running(7, "parent77", waiting_since=NOW - 60, waits_left=1, waits_of=2)._replace(may_submit=True)


def test_a_parent_that_waits_opens_at_its_children_which_are_asked_for_again_and_again() -> None:
    async def look() -> None:
        async with opened(snapshot(runs=(PARENT,))) as here:
            here.fake.offspring = {7: _children("RUNNING", "RUNNING", "HELD")}
            screen = RunScreen(here.fake, here.app.options, PARENT)
            await here.app.push_screen(screen)
            assert screen.query_one("#run").display
            await until(lambda: "2 RUNNING · 1 HELD" in shown(screen, "run"), "its children")
            text = shown(screen, "run")
            assert "here     WAITING  for 1 of 2 since 02:13:10" in text
            assert "► RUNNING     child1    embed@1.0.0" in text
            assert "40%  lab" in text
            here.fake.offspring = {7: _children("COMPLETED", "RUNNING", "RUNNING", more=True)}
            here.app.tick()
            await here.pilot.pause()
            assert here.fake.asked.count(("children", 7)) == 1, "so soon it is not asked again"
            here.fake.now = here.fake.now._replace(taken_at=BOOT + ASK_S)
            here.app.tick()
            await until(lambda: "1 COMPLETED · 2 RUNNING · more that are" in shown(screen, "run"), "what has changed")
            here.fake.trouble = "no [answer]"
            here.fake.now = here.fake.now._replace(taken_at=BOOT + 2 * ASK_S)
            here.app.tick()
            await until(lambda: "no [answer]" in shown(screen, "run"), "the trouble")

    run(look())


@pytest.mark.parametrize(
    ("changes", "states", "asked"),
    [
        ({"may_submit": False}, ("RUNNING",), 0),
        ({"outcome": Outcome.COMPLETED, "acked": True, "cleaned": True}, ("RUNNING",), 3),
        ({"outcome": Outcome.COMPLETED, "acked": True, "cleaned": True}, ("COMPLETED",), 1),
    ],
)
def test_children_that_there_cannot_be_or_that_have_ended_are_not_asked_for(
    changes: dict[str, Any], states: tuple[str, ...], asked: int
) -> None:
    async def look() -> None:
        async with opened(snapshot(), past=(view := PARENT._replace(**changes),)) as here:
            here.fake.offspring = {7: _children(*states)}
            await here.app.push_screen(RunScreen(here.fake, here.app.options, view))
            await here.press("2")
            for times in range(3):
                here.fake.now = here.fake.now._replace(taken_at=BOOT + times * ASK_S)
                here.app.tick()
                so_far = min(times + 1, asked)
                await until(lambda so_far=so_far: _times_asked(here) == so_far, "the questions")  # type: ignore[misc]
                await here.pilot.pause()
            assert _times_asked(here) == asked

    run(look())


def test_a_key_leads_to_the_screen_of_the_parent_and_back() -> None:
    child = running(8, "child888")._replace(parent_id="parent77")
    ended = PARENT._replace(outcome=Outcome.COMPLETED, acked=True, cleaned=True)

    async def look() -> None:
        over = child._replace(outcome=Outcome.COMPLETED, acked=True, cleaned=True)
        for runs, past in (((PARENT, child), ()), ((child,), (ended,)), ((PARENT,), (over,)), ((), (ended, over))):
            async with opened(snapshot(runs=runs), past=past) as here:
                await here.app.push_screen(RunScreen(here.fake, here.app.options, child))
                for there in ("parent77", "child888"):
                    await here.press("o")
                    await until(lambda there=there: _shown_run(here) == there, there)  # type: ignore[misc]
                assert len(here.app.screen_stack) == 2

    run(look())


def test_it_is_said_where_no_key_leads() -> None:
    async def look() -> None:
        async with on(RUN) as (here, _):
            await here.press("o")
            await until(lambda: toasts(here.app), "why not")
            assert toasts(here.app) == ["no child of a1b2c3d4 is at this worker"]

    run(look())


def _times_asked(here: Opened) -> int:
    return here.fake.asked.count(("children", 7))


def _shown_run(here: Opened) -> str:
    screen = here.app.screen
    return screen.shown_run.run_id if isinstance(screen, RunScreen) and screen.query(KeyBar) else ""


def test_escape_and_q_lead_back() -> None:
    async def look() -> None:
        for key in ("escape", "q", "ctrl+q"):
            async with on(RUN) as (here, screen):
                await here.press(key)
                await until(lambda: here.app.screen is not screen, "the main screen")
                assert here.app.is_running

    run(look())


def test_the_text_tells_both_truths() -> None:
    at = datetime.fromtimestamp(NOW, UTC)
    events = [Event(id=n, type=EventType.INFO, t=at, msg=n / 10) for n in range(300)]
    events += [Event(id=300 + n, type=EventType.PROGRESS, t=at, msg=n) for n in range(10)]
    attempt = OpAttempt(
        id="x", op_run_id="93bb10f2", attempt=1, state=RunState.FAILED,
        execution_summary=ExecutionSummary(duration_ms=190_000, worker_id="other[/b]", error_message="lost"),
    )  # fmt: skip
    server = OpRun(id=FAILED.run_id, image=FAILED.image).model_copy(
        update={
            "state": RunState.CANCELLED, "events": events, "attempts": [attempt], "worker_id": "lab",
            "inputs": {"x": 1}, "outputs": {"y": "\x1b[31m"},
        }
    )  # fmt: skip
    line = LogLine(9, Stream.STDERR, NOW, b"Killed \x1b[2Jprocess 4121")
    text = run_text(RunDetails(FAILED, server, None, ("COMPLETED: too late",)), [line], NOW, UTC).plain
    for words in (
        "here     FAILED", "server   CANCELLED", "refused  COMPLETED: too late", "oom_killed, 64 G asked",
        "exit 137, SIGKILL, killed for memory", "Killed process 4121", "✓ inputs        0.2s", "✗ container     1:39",
        "· odd[/b]", "101 earlier ones", "PROGRESS   9.0, since 0.0 at ", '"x": 1', "1  FAILED  3:10  other[/b]  lost",
    ):  # fmt: skip
        assert words in text
    assert "\x1b" not in text


def test_what_the_server_was_not_asked_is_what_was_known() -> None:
    text = run_text(RunDetails(RUN, None, "no answer in time", ()), [], NOW, UTC).plain
    assert "server   RUNNING  not asked now: no answer in time" in text
    assert "Why it failed" not in text


def test_a_step_that_is_tried_again_says_why() -> None:
    steps = (StepView("start_oprun", NOW - 9, NOW - 3), StepView("run_container", NOW - 3))
    again = RUN._replace(steps=steps, again=RetryNotice("no [/engine]", NOW + 2))
    text = run_text(RunDetails(again, None, "", ()), [], NOW, UTC).plain
    assert text.endswith("► container     0:03  02:14:07  again in 2 s: no [/engine]")


def test_a_long_value_is_cut_and_says_by_how_much() -> None:
    assert json_lines(list(range(1000)))[-1].plain == "… +802 lines"
    assert len(json_lines("x" * 100_000)[0].plain) < 2100
    assert "… +98,002" in json_lines("x" * 100_000)[0].plain


def test_new_lines_below_are_counted_in_the_logs_title() -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            title, log = screen.query_one(Rule), screen.query_one(LogView)
            await until(lambda: log.total == 50, "the log")
            await here.press("g")
            here.fake.logs[1] += [b"more"] * 7
            here.app.tick_log()
            await until(lambda: log.new == 7, "the new ones")
            here.app.tick()
            assert "▼ +7 new" in title.render().plain
            await here.press("G")
            await until(lambda: "new" not in title.render().plain, "that they were seen")

    run(look())


def test_a_run_that_ends_while_its_log_is_shown_is_shown_as_ended() -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            closed = RUN._replace(outcome=Outcome.COMPLETED, outcome_at=NOW, acked=True, cleaned=True)
            here.fake.now = snapshot(runs=())
            here.fake.past = [closed]
            here.app.tick()
            await until(lambda: screen.shown_run.outcome is Outcome.COMPLETED, "its end")
            assert "COMPLETED" in str(screen.query_one("#about", Static).content)
            await here.press("x")
            assert here.app.screen is screen

    run(look())


def test_what_was_read_for_it_may_come_when_it_is_gone() -> None:
    async def look() -> None:
        async with on(RUN) as (here, screen):
            await here.press("escape")
            await until(lambda: not screen.is_running, "it is gone")
            screen.show_snapshot(snapshot(runs=()))
            assert here.app.is_running

    run(look())
