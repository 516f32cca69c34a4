"""The main screen on a fake worker, as a test sees it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from textual.pilot import Pilot

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.screens.main import MainScreen
from tests.ui.fake_control import FakeControl
from tests.ui.still_clock import StillClock

_DEADLINE_S: Final = 20.0


class Stage:
    def __init__(self, app: GyozaApp, pilot: Pilot[Leave]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def main(self) -> MainScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def tick(self) -> None:
        self.app.tick()
        await self.pilot.pause()

    async def until(self, holds: Callable[[], object]) -> None:
        """Tick until it does."""
        deadline = time.monotonic() + _DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, self.text()
            self.app.tick()
            await self.pilot.pause(0.01)

    def rows(self) -> list[str]:
        """What stands on the screen, line by line."""
        return rows_of(self.app)

    def text(self) -> str:
        return "\n".join(self.rows())


def rows_of(app: GyozaApp) -> list[str]:
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


@asynccontextmanager
async def stage(
    control: FakeControl,
    size: tuple[int, int] = (160, 45),
    options: UiOptions | None = None,
    *,
    notifications: bool = False,
) -> AsyncIterator[Stage]:
    """Shown once with its history; with `notifications` those are on the screen too."""
    app = GyozaApp(control, options or UiOptions(clock=StillClock()))
    async with app.run_test(size=size, notifications=notifications) as pilot:
        shown = Stage(app, pilot)
        await shown.tick()
        await shown.tick()
        yield shown
        app.workers.cancel_all()  # as at its own end; a test's takes the widgets away first
