"""A log pane alone on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.log import LogPane
from gyoza_tui.ui.screens.line import LineScreen
from gyoza_tui.ui.widgets.log_view import LogView
from gyoza_tui.ui.widgets.log_view.view import FEED
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.run_views import view_of
from gyoza_tui.worker.view.snapshot import RunView
from tests.ui.fake_control import FakeControl, row
from tests.ui.still_clock import StillClock

KEY = 1
_DEADLINE_S = 20.0


class PaneApp(App[None]):
    def __init__(self, control: FakeControl) -> None:
        super().__init__()
        self._control = control

    def compose(self) -> ComposeResult:
        yield LogPane(self._control, UiOptions(clock=StillClock()))

    def on_mount(self) -> None:
        self.set_interval(0.05, self._take_snapshot)

    def on_log_pane_line_opened(self, event: LogPane.LineOpened) -> None:
        self.push_screen(LineScreen(self._control, UiOptions(clock=StillClock()), event.key, event.number))

    def _take_snapshot(self) -> None:
        if self.query(LogView):  # it may be closing
            pane = self.query_one(LogPane)
            pane.show_run(pane._run)


@dataclass(frozen=True, slots=True)
class Opened:
    app: PaneApp
    fake: FakeControl
    pilot: Pilot[None]

    @property
    def pane(self) -> LogPane:
        return self.app.query_one(LogPane)

    @property
    def view(self) -> LogView:
        return self.pane.log_view

    @property
    def strips(self) -> list[Strip]:
        return [self.view.render_line(y) for y in range(self.view.size.height)]

    @property
    def rows(self) -> list[str]:
        """The rows as they stand there, without the gutter and what is blank at the end."""
        return [strip.text[1:].rstrip() for strip in self.strips]

    @property
    def title(self) -> str:
        return self.app.query_one(Rule).render().plain

    def grow(self, *lines: bytes) -> None:
        self.fake.logs[KEY] += lines
        self.pane.look_at_log()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, true: Callable[[], object], what: str) -> None:
        await until(true, lambda: f"{what}; the screen:\n{self.title}\n" + "\n".join(self.rows))

    @property
    def _searching(self) -> bool:
        return any(each.is_running for each in self.app.workers if each.group != FEED)

    async def settled(self) -> None:
        """All that it asked for has come."""
        await self.until(lambda: not (self.view.reading or self._searching), "nothing asked any more")
        await self.pilot.pause()


async def until(true: Callable[[], object], what: Callable[[], str]) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + _DEADLINE_S
    while not true():
        assert loop.time() < ends, what()
        await asyncio.sleep(0.005)


def numbered(count: int, text: str = "line {}") -> list[bytes]:
    return [text.format(n).encode() for n in range(count)]


def shown_run(key: int = KEY, **more: Any) -> RunView:
    return view_of(row(key, "a1b2c3d4e5f6", **more), server_state="RUNNING")


@asynccontextmanager
async def opened(
    lines: Sequence[bytes], *, size: tuple[int, int] = (60, 11), times: bool = False
) -> AsyncIterator[Opened]:
    """Ten rows of log at the default size."""
    fake = FakeControl(logs={KEY: list(lines)})
    app = PaneApp(fake)
    async with app.run_test(size=size) as pilot:
        it = Opened(app, fake, pilot)
        if it.view.shows_times and not times:
            it.view.toggle_times()
        it.pane.show_run(shown_run())
        it.pane.focus()
        await it.settled()
        yield it


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)
