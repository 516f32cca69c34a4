"""Asking for the lines that a window lacks, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.trouble import in_words
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.window import Window
from gyoza_tui.worker.view.control import ControlError, LogPage

_FIRST_PAGE: Final = 100
"""Lines asked for before the window has a size."""

Question = tuple[int, int]
"""Start and count, as `LogSource.lines` takes them."""


class Feed:
    """One question at a time, however often it is told to ask; what is asked for next is decided when it is asked."""

    def __init__(self, source: LogReader, window: Window, came: Callable[[int], None]) -> None:
        self._source = source
        self._window = window
        self._came = came
        """Told after each answer, with the total that was known before it."""
        self._due = False
        self._asked = asyncio.Event()
        self.trouble: str | None = None
        """Why there was no answer."""

    @property
    def reading(self) -> bool:
        """Whether something was asked for that has not come yet."""
        return self._asked.is_set()

    def look(self) -> None:
        """Ask whether there are more lines."""
        self._due = True
        self.ask()

    def ask(self) -> None:
        """Ask for what is missing."""
        if self._due or self._window.missing():
            self._asked.set()

    async def serve(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._asked.wait()
            try:
                await self._answer()
            except (ControlError, KeyError) as error:
                self._fail(in_words(error))
            self._asked.clear()

    async def _answer(self) -> None:
        while asked := self._questions():
            pages = await aside(partial(_read, self._source, asked))
            before = self._window.total
            for page, (start, count) in zip(pages, asked, strict=True):
                first = start if start >= 0 else max(0, page.total + start)
                self._window.take(page, range(first, first + count))
            self.trouble = None
            self._came(before)

    def _fail(self, why: str) -> None:
        self.trouble = why
        self._came(self._window.total)

    def _questions(self) -> list[Question]:
        window = self._window
        asked = [(run.start, len(run)) for run in window.missing()]
        if self._due:
            self._due = False
            count = (window.height or _FIRST_PAGE) if window.follow and window.only is None else 1
            asked.append((-count, count))
        return asked


def _read(source: LogReader, asked: list[Question]) -> list[LogPage]:
    return [source.lines(start, count) for start, count in asked]
