"""The app on a worker of another process, opened for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gyoza_tui.ui.attached import AttachedApp
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.worker.view.control import WorkerControl
from tests.ui.fake_control import FakeControl
from tests.ui.keys.app import Opened
from tests.ui.other_end import at_the_other_end
from tests.ui.still_clock import StillClock


@asynccontextmanager
async def opened(
    fake: FakeControl, control: WorkerControl | None = None, size: tuple[int, int] = (160, 45)
) -> AsyncIterator[Opened]:
    """On `control`, else on the fake itself."""
    app = AttachedApp(control or fake, UiOptions(clock=StillClock(), attached=True))
    async with app.run_test(size=size) as pilot:
        app.tick()
        await pilot.pause()
        yield Opened(app, fake, pilot)
        app.workers.cancel_all()  # as at its own end; a test's takes the widgets away first


@asynccontextmanager
async def opened_over_a_socket(fake: FakeControl, root: Path) -> AsyncIterator[Opened]:
    with at_the_other_end(fake, root) as (remote, _):
        async with opened(fake, remote) as here:
            yield here
