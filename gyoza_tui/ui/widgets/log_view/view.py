"""The widget: a log that is read, searched and moved about in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from functools import partial
from typing import Final

from rich.cells import cell_len
from textual.message import Message

from gyoza_tui.ui.background import Work, in_background
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.widgets.log_view import selecting
from gyoza_tui.ui.widgets.log_view.feed import Feed
from gyoza_tui.ui.widgets.log_view.hunt import ERRORS, Hunt
from gyoza_tui.ui.widgets.log_view.line_text import LINE_MAX, ShownLine
from gyoza_tui.ui.widgets.log_view.line_times import first_line_at
from gyoza_tui.ui.widgets.log_view.mouse import PointedCanvas
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.window import ScrollPlace
from gyoza_tui.worker.view.control import ControlError

FEED: Final = "log feed"
"""The group of the task that reads the log shown, for as long as it is."""


class Goal(Enum):
    """Which match to go to as soon as it is found."""

    NEAREST = "nearest"
    NEXT = "next"
    PREVIOUS = "previous"


class LogView(PointedCanvas):
    """Shows the log that it was given, and stays responsive whatever its source does."""

    class Changed(Message):
        """What it says of itself is different: place, searches, whether there is anything. Not how many lines."""

    class Told(Message):
        """Words for a person."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, options: UiOptions, *, line_max: int = LINE_MAX) -> None:
        super().__init__(options, line_max)
        self._reset(None)

    def _reset(self, source: LogReader | None) -> None:
        self._clear()
        self._source = source
        self._feed = Feed(source, self._window, self._lines_came) if source is not None else None
        self._hunt = Hunt(source, self._beside, self._matches_came) if source is not None else None
        self._goal: Goal | None = None
        self._beside_edge: Search | None = None
        """Of what match the column is to be brought on the screen, when the line is at hand."""
        self._told: object = None

    @property
    def total(self) -> int:
        """Lines of the log so far."""
        return self._window.total

    @property
    def new(self) -> int:
        """Lines that came since it does not follow, and were not on the screen yet."""
        return self._window.new

    @property
    def follows(self) -> bool:
        return self._window.follow

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be read."""
        return self._feed.trouble if self._feed is not None else None

    @property
    def reading(self) -> bool:
        """Whether lines were asked for that have not come yet."""
        return self._feed is not None and self._feed.reading

    @property
    def find(self) -> Search | None:
        return self._hunt.find if self._hunt is not None else None

    @property
    def only(self) -> Search | None:
        return self._hunt.only if self._hunt is not None else None

    @property
    def searching(self) -> bool:
        """Whether there are lines that were not looked through yet."""
        return any(search is not None and not search.complete for search in (self.find, self.only))

    @property
    def cursor(self) -> int | None:
        return self._cursor

    @property
    def line(self) -> ShownLine | None:
        """The line that things are about: the cursor's, else the last one, or the first on the screen."""
        number = self._place
        return None if number is None else self._window.known.get(number)

    def open(self, source: LogReader | None) -> None:
        """Show another log, from its end; None: nothing."""
        if self.text_selection is not None:
            self.screen.clear_selection()
        self.on_mouse_release()
        self._reset(source)
        self.workers.cancel_group(self, FEED)
        if self._feed is not None:
            in_background(self, self._feed.serve, group=FEED)
        self._refit()
        self.look()

    def look(self) -> None:
        """Ask whether the log has grown."""
        if self._feed is not None:
            self._feed.look()

    def scroll_rows(self, rows: int) -> None:
        self._window.scroll(rows)
        self._moved()

    def page(self, pages: int) -> None:
        self.scroll_rows(pages * max(1, self._window.height - 1))

    def move_cursor(self, lines: int) -> None:
        """By one line; at the edge of the screen the text moves."""
        numbers = self._numbers
        if not numbers:
            return
        if lines < 0:
            self._window.stand_still()
        if self._cursor not in numbers:
            self._cursor = numbers[-1 if lines < 0 else 0]
        elif (wanted := numbers.index(self._cursor) + lines) in range(len(numbers)):
            self._cursor = numbers[wanted]
        else:
            self._window.scroll(lines)
            self._cursor = self._numbers[-1 if lines > 0 else 0]
        self._moved()

    def go_to_first(self) -> None:
        self._window.go_to_first()
        self._moved()

    def go_to(self, number: int) -> None:
        """Put the cursor on a line, and the line on the screen."""
        self._cursor = number
        self._window.reveal(number)
        self._moved()

    @property
    def place(self) -> ScrollPlace:
        return self._window.place

    def return_to(self, place: ScrollPlace) -> None:
        self._cursor = None
        self._window.return_to(place)
        self._moved()

    def set_follow(self, follow: bool) -> None:
        if follow:
            self._window.follow = True
        else:
            self._window.stand_still()
        self._moved()

    def sideways(self, halves: int) -> None:
        if not self._wrap:
            half = max(1, self._text_width // 2)
            longest = max((cell_len(row.line.text) for row in self._window.rows if row.line), default=0)
            self._first_cell = max(0, min(self._first_cell + halves * half, longest // half * half))
            self._refit()

    def toggle_wrap(self) -> None:
        self._wrap, self._first_cell = not self._wrap, 0
        self._refit()

    def toggle_times(self) -> None:
        self._times = not self._time_width
        self._refit()

    def look_for(self, text: str) -> None:
        """Go to the nearest line with that text; empty: look for nothing."""
        if self._hunt is not None:
            self._hunt.find = self._hunt.start(text, self._window.top) if text else None
            self._goal = Goal.NEAREST if text else None
            self._mark()

    def show_only(self, text: str) -> None:
        """Leave out the lines without that text; empty: show all."""
        if self._hunt is not None:
            self._hunt.only = self._hunt.start(text, self._place or 0) if text else None
            self._window.show_only(self._hunt.only)
            self._mark()

    def step(self, goal: Goal) -> None:
        """To the next or previous match."""
        if self.find is None:
            self.post_message(self.Told("nothing to find"))
        else:
            self._goal = goal
            self._reach_goal(self.find)

    def to_error(self, *, backwards: bool) -> None:
        """To the next line that tells of an error, or the one before."""
        if self._hunt is not None and (place := self._place) is not None:
            line = place if backwards else place + (self._cursor == place)
            self._seek(partial(self._seek_error, self._hunt, line, backwards=backwards))

    def to_time(self, when: datetime) -> None:
        """To the first line that came then or later."""
        if self._source is not None:
            self._seek(partial(aside, partial(first_line_at, self._source, when.timestamp())))

    async def selected_text(self) -> str:
        """As it is shown, read anew: most of it may not be at hand. Raises TooMuch, ControlError, KeyError."""
        selection, source = self.text_selection, self._source
        if selection is None or source is None:
            return ""
        wanted = selecting.numbers(selection, self._window.order)
        return await aside(partial(selecting.read, selection, wanted, source, self._show))

    def on_resize(self) -> None:
        self._refit()

    @property
    def _numbers(self) -> list[int]:
        return list(dict.fromkeys(row.number for row in self._window.rows))

    @property
    def _place(self) -> int | None:
        numbers = self._numbers
        if not numbers or self._cursor in numbers:
            return self._cursor if numbers else None
        return numbers[-1 if self._window.follow else 0]

    def _refit(self) -> None:
        """Draw everything again, in the size and manner of now."""
        self._fit()
        self._forget_painted()
        self._moved()

    def _mark(self) -> None:
        """Highlight what is looked for now."""
        self._marked = [search.pattern for search in (self.find, self.only) if search is not None]
        self._refit()

    def _moved(self) -> None:
        self._redraw()
        if self._beside_edge is not None and (line := self.line) is not None:
            found, self._beside_edge = self._beside_edge.pattern.search(line.text), None
            if found is not None and self._bring_in(line.text, *found.span()):
                self._forget_painted()
                self._redraw()
        if self._feed is not None:
            self._feed.ask()
        self._tell()

    def _tell(self) -> None:
        searches = [(len(search), search.complete) if search else None for search in (self.find, self.only)]
        told = (bool(self.total), bool(self.new), self.follows, self.trouble, self._cursor, searches)
        if told != self._told:
            self._told = told
            self.post_message(self.Changed())

    def _lines_came(self, feed: Feed, before: int) -> None:
        if feed is self._feed and self._hunt is not None:
            self._hunt.look(max(0, before - 1) if self.total > before else None)
            self._moved()

    def _matches_came(self, search: Search) -> None:
        if search is self.find:
            self._reach_goal(search)
            self._tell()
        elif search is self.only:
            self._moved()

    def _reach_goal(self, search: Search) -> None:
        place = self._place or 0
        match self._goal:
            case Goal.NEAREST:
                found = search.after(search.origin - 1)
                found = search.before(search.origin) if found is None else found
            case Goal.NEXT:
                found = self._shown_match(search, place, search.after)
            case Goal.PREVIOUS:
                found = self._shown_match(search, place, search.before)
            case None:
                return
        if found is None and search.complete and len(search):
            found = search.at(-1 % len(search) if self._goal is Goal.PREVIOUS else 0)
        if found is not None:
            self._goal = None
            self._beside_edge = search
            self.go_to(found)
        elif search.complete:
            typing, self._goal = self._goal is Goal.NEAREST, None
            if not typing:
                self.post_message(self.Told(f"not found: {search.text}"))

    def _shown_match(self, search: Search, number: int, following: Callable[[int], int | None]) -> int | None:
        """The following match that is not left out."""
        found = following(number)
        while found is not None and self.only is not None and not self.only.holds(found):
            found = following(found)
        return found

    def _beside(self, work: Work) -> None:
        in_background(self, work, group="log")

    def _seek(self, seek: Callable[[], Awaitable[int | None]]) -> None:
        in_background(self, partial(self._go_where, seek), group="log seek", exclusive=True)

    async def _go_where(self, seek: Callable[[], Awaitable[int | None]]) -> None:
        source = self._source
        try:
            number = await seek()
        except (ControlError, KeyError):
            return  # the feed meets the same, and says so
        if source is self._source and number is not None:
            self.go_to(number)

    async def _seek_error(self, hunt: Hunt, line: int, *, backwards: bool) -> int | None:
        found = await hunt.seek(ERRORS, line, backwards=backwards)
        if found is None:
            self.post_message(self.Told("no error above" if backwards else "no error below"))
        return found
