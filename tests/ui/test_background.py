"""Work that is cancelled before it begins leaves nothing, not even a warning: pytest makes an error of that."""

from __future__ import annotations

import asyncio
import gc

from textual.app import App

from gyoza_tui.ui.background import in_background


def test_what_is_cancelled_before_it_begins_is_never_called() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("something")

    async def look() -> None:
        async with App[None]().run_test() as pilot:
            in_background(pilot.app, work, group="mine")
            pilot.app.workers.cancel_group(pilot.app, "mine")
            await pilot.pause()

    asyncio.run(look())
    gc.collect()
    assert done == []
