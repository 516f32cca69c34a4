"""Searching a log beside the event loop, slice by slice."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from gyoza_tui.ui.background import Work
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.worker.view.control import ControlError, LogHits, LogQuery

_SLICES: Final = 8


class Hunt:
    """What is looked for in one log: to go to (`find`), and to leave the rest out (`only`).

    While a log grows, one slice of each is searched at a time: a flood costs no more than that.
    """

    def __init__(self, source: LogReader, run: Callable[[Work], None], came: Callable[[Search], None]) -> None:
        self._source = source
        self._run = run
        self._came = came
        """Told after each slice."""
        self._busy: set[Search] = set()
        self.find: Search | None = None
        self.only: Search | None = None

    @property
    def searches(self) -> list[Search]:
        return [search for search in (self.find, self.only) if search is not None]

    def start(self, text: str, origin: int) -> Search:
        """Look for a text from a line on; the caller keeps it as `find` or `only`."""
        search = Search(LogQuery(text), text, origin)
        self._go_on(search, to_the_end=True)
        return search

    def look(self, since: int | None) -> None:
        """Go on where lines were not looked at yet; `since` is where the log has grown, None: it has not."""
        for search in self.searches:
            if since is not None:
                search.grown(since)
            self._go_on(search, to_the_end=since is None)

    async def seek(self, query: LogQuery, line: int, *, backwards: bool) -> int | None:
        """The first line that matches from that one on, or above it."""
        following: int | None = line
        while following is not None:
            found = await aside(partial(_some, self._source, query, following, backwards=backwards))
            if found.numbers:
                return found.numbers[-1 if backwards else 0]
            following = found.next_line
        return None

    def _go_on(self, search: Search, *, to_the_end: bool) -> None:
        if search not in self._busy and search.next_slice() is not None:
            self._busy.add(search)
            self._run(partial(self._slices, search, to_the_end=to_the_end))

    async def _slices(self, search: Search, *, to_the_end: bool) -> None:
        try:
            while (following := search.next_slice()) is not None:
                line, backwards = following
                found = await aside(partial(_some, self._source, search.query, line, backwards=backwards))
                search.take(found, backwards=backwards)
                self._came(search)
                if not to_the_end or search not in self.searches:
                    return
        except (ControlError, KeyError):
            search.give_up()
            self._came(search)
        finally:
            self._busy.discard(search)


def _some(source: LogReader, query: LogQuery, line: int, *, backwards: bool) -> LogHits:
    """Slices up to the first match, a few at most: each way to the loop and back costs as much as one."""
    for _ in range(_SLICES):
        found = source.search(query, line, backwards=backwards)
        if found.numbers or found.next_line is None:
            break
        line = found.next_line
        time.sleep(0)  # whoever waits for the interpreter may have it
    return found
