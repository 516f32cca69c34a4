"""The app on a worker that is well."""

from __future__ import annotations

import asyncio

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.options import UiOptions
from tests.ui.fake_control import FakeControl
from tests.ui.still_clock import StillClock


def test_every_duty_is_followed_by_name() -> None:
    async def look() -> None:
        app = GyozaApp(FakeControl(), UiOptions(clock=StillClock()))
        async with app.run_test():
            followed = {worker.name for worker in app.workers if worker.group == "worker"}
            assert followed == {"heartbeat", "heed", "claim", "deliver", "reconcile", "sample"}

    asyncio.run(look())
