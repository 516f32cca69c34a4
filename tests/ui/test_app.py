"""The app on a worker that is well."""

from __future__ import annotations

import asyncio

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.screens.line import LineScreen
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.worker.view.run_views import view_of
from tests.ui.fake_control import FakeControl, row
from tests.ui.still_clock import StillClock


def test_every_duty_is_followed_by_name() -> None:
    async def look() -> None:
        app = GyozaApp(FakeControl(), UiOptions(clock=StillClock()))
        async with app.run_test():
            followed = {worker.name for worker in app.workers if worker.group == "worker"}
            assert followed == {"heartbeat", "verdicts", "claim", "deliver", "children", "reconcile", "guard", "sample"}

    asyncio.run(look())


def test_the_clocks_leave_a_screen_alone_that_is_still_being_made() -> None:
    async def look() -> None:
        control, options = FakeControl(), UiOptions(clock=StillClock())
        app = GyozaApp(control, options)
        async with app.run_test():
            view = view_of(row(1, "a1b2c3d4", "train:1"))
            screens = (RunScreen(control, options, view), LineScreen(control, options, view.key, 0))
            for screen in screens:
                app.push_screen(screen)
                steps = 0
                while not screen.is_mounted:
                    app.tick()
                    app.tick_log()
                    await asyncio.sleep(0)
                    steps += 1
                assert steps > 1

    asyncio.run(look())
