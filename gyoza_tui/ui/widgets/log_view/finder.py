"""What a person looks for in a log, and the way there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Protocol

from gyoza_tui.ui.background import Work
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.widgets.log_view.cursor import Cursor
from gyoza_tui.ui.widgets.log_view.goal import Goal, match_at
from gyoza_tui.ui.widgets.log_view.hunt import Hunt
from gyoza_tui.ui.widgets.log_view.line_text import ShownLine
from gyoza_tui.ui.widgets.log_view.line_times import first_line_at
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.window import Window
from gyoza_tui.worker.view.control import ERRORS, ControlError


class Searched(Protocol):
    """Whoever shows the log."""

    def go_to(self, number: int) -> None:
        """Put the cursor on that line."""

    def searches_changed(self) -> None:
        """Something else is looked for."""

    def matches_changed(self) -> None:
        """More was looked through."""

    def say(self, words: str) -> None: ...

    def begin(self, work: Work, *, alone: bool = False) -> None:
        """In the background until the log is closed, or other work is begun if each is to be alone."""


class Finder:
    def __init__(self, log: Searched, source: LogReader, window: Window, cursor: Cursor) -> None:
        self._log = log
        self._source = source
        self._window = window
        self._cursor = cursor
        self._hunt = Hunt(source, log.begin, self._matches_came)
        self._goal: Goal | None = None
        self._gone_to: Search | None = None
        """Whose match the cursor was put on, until it is known where in the line it stands."""

    @property
    def find(self) -> Search | None:
        """What is highlighted and gone to."""
        return self._hunt.find

    @property
    def only(self) -> Search | None:
        """Lines without it are left out."""
        return self._hunt.only

    @property
    def complete(self) -> bool:
        """Whether every line was looked through."""
        return all(search.complete for search in self._hunt.searches)

    @property
    def patterns(self) -> list[re.Pattern[str]]:
        return [search.pattern for search in self._hunt.searches]

    def look_for(self, text: str) -> None:
        """Go to the nearest line with that text; empty: look for nothing."""
        self._hunt.find = self._hunt.start(text, self._window.top) if text else None
        self._goal = Goal.NEAREST if text else None
        self._log.searches_changed()

    def show_only(self, text: str) -> None:
        """Leave out the lines without that text; empty: show all."""
        self._hunt.only = self._hunt.start(text, self._cursor.place or 0) if text else None
        self._window.show_only(self._hunt.only)
        self._log.searches_changed()

    def step(self, goal: Goal) -> None:
        """To the next or previous match."""
        if self.find is None:
            self._log.say("nothing to find")
        else:
            self._goal = goal
            self._reach_goal(self.find)

    def to_error(self, *, backwards: bool) -> None:
        """To the next line that tells of an error, or the one before."""
        if (place := self._cursor.place) is not None:
            line = place if backwards else place + (self._cursor.number == place)
            self._seek(partial(self._seek_error, line, backwards=backwards))

    def to_time(self, when: datetime) -> None:
        """To the first line that came then or later."""
        self._seek(partial(aside, partial(first_line_at, self._source, when.timestamp())))

    def look(self, since: int | None) -> None:
        """Go on where lines were not looked at yet; `since` is where the log has grown, None: it has not."""
        self._hunt.look(since)

    def match_gone_to(self, line: ShownLine) -> tuple[int, int] | None:
        """The characters of the match in the line on which the cursor was just put; once."""
        if self._gone_to is None:
            return None
        found, self._gone_to = self._gone_to.pattern.search(line.text), None
        return None if found is None else found.span()

    def _matches_came(self, search: Search) -> None:
        if search is self.find:
            self._reach_goal(search)
        if search in self._hunt.searches:
            self._log.matches_changed()

    def _reach_goal(self, search: Search) -> None:
        goal = self._goal
        if goal is None:
            return
        found = match_at(goal, search, self._cursor.place or 0, self.only)
        if found is not None:
            self._goal = None
            self._gone_to = search
            self._log.go_to(found)
        elif search.complete:
            self._goal = None
            if goal is not Goal.NEAREST:  # else it is still being typed
                self._log.say(f"not found: {search.text}")

    def _seek(self, seek: Callable[[], Awaitable[int | None]]) -> None:
        self._log.begin(partial(self._go_where, seek), alone=True)

    async def _go_where(self, seek: Callable[[], Awaitable[int | None]]) -> None:
        try:
            number = await seek()
        except (ControlError, KeyError):
            return  # the feed meets the same, and says so
        if number is not None:
            self._log.go_to(number)

    async def _seek_error(self, line: int, *, backwards: bool) -> int | None:
        found = await self._hunt.seek(ERRORS, line, backwards=backwards)
        if found is None:
            self._log.say("no error above" if backwards else "no error below")
        return found
