"""The real app playing a recording, looked at when all that it asked for has come."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias
from unittest.mock import patch

from pytest_textual_snapshot import normalize_svg
from textual.pilot import Pilot
from textual.widgets import Input

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.attached import AttachedApp
from gyoza_tui.ui.duty_workers import FOLLOWERS
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.tty.ascii import as_ascii
from gyoza_tui.ui.widgets.log_view import LogView
from gyoza_tui.ui.widgets.log_view.view import FEED
from gyoza_tui.worker.control_socket.client import RemoteControl
from gyoza_tui.worker.view.control import Contact, WorkerControl
from tests.ui.fake_control import FakeControl
from tests.ui.other_end import caught_up
from tests.ui.recording import Recording
from tests.ui.still_clock import StillClock
from tests.ui.svg import with_texts

WIDE: Final = (160, 45)
SMALL: Final = (80, 24)
_DEADLINE_S: Final = 20.0
_OF_THE_SHELL: Final = re.compile("NO_COLOR|COLORTERM|FORCE_COLOR|TERM|COLUMNS|LINES|UNICODE_VERSION|TEXTUAL_.*")


@dataclass(frozen=True, slots=True)
class Shown:
    """The app on a terminal that nobody sees."""

    app: GyozaApp
    fake: FakeControl
    pilot: Pilot[Leave]

    async def settle(self) -> None:
        """Two ticks, and all that they lead to: history, log, matches."""
        for _ in range(2):
            if isinstance(self.app.control, RemoteControl):
                caught_up(self.app.control)
            self.app.tick()
            self.app.tick_log()
            await self._answered()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self._answered()

    async def _answered(self) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                await self.pilot.pause()
                asked = [each for each in self.app.workers if each.group not in (FOLLOWERS, FEED)]
                logs = self.app.screen.query(LogView)
                if all(each.is_finished for each in asked) and not any(log.reading for log in logs):
                    return
                await asyncio.sleep(0.002)


Way: TypeAlias = Callable[[FakeControl], AbstractContextManager[WorkerControl]]
way: ContextVar[Way] = ContextVar("way", default=nullcontext)
"""How the app of a picture reaches its worker."""
Act = Callable[[Shown], Awaitable[None]]


async def _nothing(shown: Shown) -> None:
    pass


def picture(
    recording: Recording,
    size: tuple[int, int],
    *keys: str,
    then: Act = _nothing,
    theme: str | None = None,
    ascii_only: bool = False,
    contact: Contact | None = None,
) -> str:
    """The screen as SVG, after the keys were pressed and `then` was done; whatever the shell wishes of colours.

    `contact`: how the worker, which is another process then, is reached.
    """
    with patch.dict(os.environ):
        for name in filter(_OF_THE_SHELL.fullmatch, list(os.environ)):
            del os.environ[name]
        os.environ["COLORTERM"] = "truecolor"
        return asyncio.run(_picture(recording, size, keys, then, theme, ascii_only, contact))


async def _picture(
    recording: Recording,
    size: tuple[int, int],
    keys: tuple[str, ...],
    then: Act,
    theme: str | None,
    ascii_only: bool,
    contact: Contact | None,
) -> str:
    clock = StillClock(datetime.fromtimestamp(recording.snapshot.utc, UTC))
    fake = FakeControl.of(recording)
    options = UiOptions(clock=clock, theme=theme, ascii=ascii_only, attached=contact is not None)
    with way.get()(fake) as control:
        app = GyozaApp(control, options) if contact is None else AttachedApp(control, options)
        fake.connected = contact or fake.connected
        app.animation_level = "none"
        return await _shown(app, fake, size, keys, then)


async def _shown(app: GyozaApp, fake: FakeControl, size: tuple[int, int], keys: tuple[str, ...], then: Act) -> str:
    async with app.run_test(size=size) as pilot:
        shown = Shown(app, fake, pilot)
        await shown.settle()
        await shown.press(*keys)
        await then(shown)
        await shown.settle()
        _hold_cursors(app)
        svg = str(normalize_svg(app.export_screenshot(title="gyoza-tui")))
    # the driver, which is not there without a terminal, is what makes every character ASCII
    return with_texts(svg, as_ascii) if app.options.ascii else svg


def _hold_cursors(app: GyozaApp) -> None:
    """A cursor that blinks is there."""
    for entry in app.screen.query(Input):
        entry.cursor_blink = False
        entry._cursor_visible = True
