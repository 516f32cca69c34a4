"""The app on a fake worker, opened for one test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.keys import key_to_character
from textual.pilot import Pilot

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.screens.dialog import Dialog
from gyoza_tui.worker.view.run_views import view_of
from gyoza_tui.worker.view.snapshot import RunView, Snapshot
from tests.ui.fake_control import FakeControl, row, snapshot
from tests.ui.still_clock import StillClock

_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Opened:
    app: GyozaApp
    fake: FakeControl
    pilot: Pilot[Leave]

    async def press(self, *keys: str) -> None:
        """One after the other, each when the one before has had its effect."""
        for key in keys:
            await typed(self, key)


@asynccontextmanager
async def opened(
    now: Snapshot | None = None,
    *,
    past: tuple[RunView, ...] = (),
    keymap: Mapping[str, str] | None = None,
    size: tuple[int, int] = (160, 45),
) -> AsyncIterator[Opened]:
    fake = FakeControl(now or snapshot(), list(past))
    app = GyozaApp(fake, UiOptions(clock=StillClock(), keymap=keymap or {}))
    async with app.run_test(size=size) as pilot:
        app.tick()
        yield Opened(app, fake, pilot)
        app.workers.cancel_all()  # as at its own end; a test's takes the widgets away first


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def running(key: int, run_id: str, op: str = "classify", **more: Any) -> RunView:
    """A run whose container has started."""
    started = {"step": "run_container", "start_asked": True, "started_at": 1773454300.0}
    return view_of(row(key, run_id, f"{op}:1", **{**started, **more}), server_state="RUNNING")


async def typed(here: Opened, key: str) -> None:
    """As `Pilot.press`, which waits 40 ms each time until the process is idle, but by what is queued only."""
    here.app.post_message(events.Key(key, key_to_character(key)))
    await here.pilot._wait_for_screen()
    await until(lambda: here.app.turns.over, "the key's effect")
    await here.pilot._wait_for_screen()


async def until(true: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(_DEADLINE_S):
        while not true():
            await asyncio.sleep(0.005)
    assert true(), what


def dialog_text(app: GyozaApp) -> str:
    """All words of the open dialog."""
    dialog = app.screen
    assert isinstance(dialog, Dialog), f"{dialog} is no dialog"
    asked = dialog.question
    choices = [f"{choice.label} {choice.means}" for choice in asked.choices]
    return "\n".join([asked.title.plain, *(line.plain for line in asked.lines), *choices])


def toasts(app: GyozaApp) -> list[str]:
    return [toast.message for toast in app._notifications]
