"""Which part of a log is looked at: it stays where it is while the log grows, unless it follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Final, NamedTuple

from gyoza_tui.ui.widgets.log_view.known_lines import KnownLines
from gyoza_tui.ui.widgets.log_view.layout import Anchor, Layout, Order, Row
from gyoza_tui.ui.widgets.log_view.line_text import ShownLine
from gyoza_tui.ui.widgets.log_view.scrollbar import thumb
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.worker.view.control import LogLine, LogPage

_REVEALED_AT: Final = 3
"""A line that is gone to stands this part of the height below the top."""


class ScrollPlace(NamedTuple):
    """What part of the log was on the screen."""

    top: Anchor
    follow: bool


class Matches(NamedTuple):
    """Only the lines that match."""

    known: KnownLines
    search: Search

    def get(self, number: int) -> ShownLine | None:
        return self.known.get(number)

    def after(self, number: int) -> int | None:
        return self.search.after(number)

    def before(self, number: int) -> int | None:
        return self.search.before(number)


class Window:
    def __init__(self, show: Callable[[LogLine], ShownLine]) -> None:
        self.known = KnownLines(show)
        self.only: Search | None = None
        """Lines that don't match are left out."""
        self.height = 0
        self.wrap_at: int | None = None
        """Cells after which lines are wrapped; None: they are not."""
        self.rows: list[Row] = []
        self.follow = True
        self._seen = 0
        self._top = Anchor(0)
        self._revealed: int | None = None

    @property
    def total(self) -> int:
        return self.known.total

    @property
    def new(self) -> int:
        """Lines that came while it stood still, and have not been on the screen."""
        return self.total - self._seen

    @property
    def last(self) -> int | None:
        """The last line that there is to show."""
        if self.only is not None:
            return self.only.at(len(self.only) - 1) if len(self.only) else None
        return self.known.standing_for(self.total - 1) if self.total else None

    @property
    def first(self) -> int | None:
        if self.only is not None:
            return self.only.at(0) if len(self.only) else None
        return self.known.standing_for(0) if self.total else None

    @property
    def top(self) -> int:
        return self._top.number

    @property
    def numbers(self) -> list[int]:
        """The lines on the screen."""
        return list(dict.fromkeys(row.number for row in self.rows))

    @property
    def thumb(self) -> range:
        """The rows of the scrollbar's thumb; none where every line is on the screen."""
        lines, first = self.total, self.top
        if self.only is not None:
            lines, first = len(self.only), self.only.index(self.top)
        return thumb(self.height, lines, first, len(self.numbers))

    @property
    def at_end(self) -> bool:
        """Whether the last row of the log is on the screen."""
        return not self.rows or (self.rows[-1].number == self.last and self._ends(self.rows[-1]))

    def take(self, page: LogPage, asked: Iterable[int]) -> None:
        self.known.take(page, asked)
        self.known.forget({row.number for row in self.rows})

    def arrange(self) -> None:
        """Fill the rows with what is at hand."""
        last = self.last
        if last is None or self.height <= 0:
            self.rows = []
            self._seen = self.total
            return
        layout = self._layout
        if self.follow:
            self.rows = layout.until(last, self.height)
            self._seen = self.total
        elif self._revealed is not None:
            self._reveal(layout, self._revealed, last)
        else:
            self.rows = layout.window(self._valid(self._top), self.height, last)
        self._top = self.rows[0].anchor
        self._seen = max(self._seen, min(self.total, self.rows[-1].number + 1))

    def scroll(self, rows: int) -> None:
        """Up switches following off; down to the end on."""
        if not self.rows:
            return
        if self.at_end and (rows > 0 or self.rows[0].anchor == Anchor(self.first or 0)):
            self.follow |= rows > 0
            return
        self._stand(self._layout.moved(self._top, rows))
        self.arrange()
        self.follow = rows > 0 and self.at_end and all(row.line for row in self.rows)

    def stand_still(self) -> None:
        self._stand(self._top)

    def go_to_first(self) -> None:
        self._stand(Anchor(self.first or 0))

    def go_to_share(self, share: float) -> None:
        """0 is the begin, 1 the end."""
        lines = self.total if self.only is None else len(self.only)
        if share == 1.0:
            self.follow = True
        elif lines:
            index = int(share * lines)
            self._stand(Anchor(index if self.only is None else self.only.at(index)))

    @property
    def place(self) -> ScrollPlace:
        return ScrollPlace(self._top, self.follow)

    def return_to(self, place: ScrollPlace) -> None:
        self._stand(place.top)
        self.follow = place.follow

    def reveal(self, number: int) -> None:
        """Bring a line on the screen, with some before it unless it is there already."""
        number = self.known.standing_for(number)
        self._stand(self._top)
        if not any(row.number == number and row.line for row in self.rows):
            self._revealed = number

    def show_only(self, search: Search | None) -> None:
        self.only = search
        self._revealed = None

    def missing(self) -> list[range]:
        """What to ask for: what should be on the screen and is not at hand, and what is about to be."""
        if not self.rows:
            return []
        near, far = self._around(self.height // 2), self._around(self.height)
        if all(self.known.get(number) for number in near):
            return []
        return in_runs(number for number in far if self.known.get(number) is None)

    def _around(self, margin: int) -> list[int]:
        order = self.order
        numbers = self.numbers
        above, below = numbers[0], numbers[-1]
        before: list[int] = []
        for _ in range(margin):
            if (found := order.before(above)) is not None:
                above = found
                before.append(found)
            if (found := order.after(below)) is not None:
                below = found
                numbers.append(found)
        return before[::-1] + numbers

    @property
    def order(self) -> Order:
        """The lines that there are to show."""
        return self.known if self.only is None else Matches(self.known, self.only)

    @property
    def _layout(self) -> Layout:
        return Layout(self.order, self.wrap_at)

    def _stand(self, top: Anchor) -> None:
        if self.follow:
            self._seen = self.total
        self.follow = False
        self._revealed = None
        self._top = top

    def _reveal(self, layout: Layout, number: int, last: int) -> None:
        number = self._valid(Anchor(number)).number
        above = layout.above(Anchor(number), self.height // _REVEALED_AT)
        self.rows = above + layout.below(Anchor(number), self.height - len(above))
        if all(row.line for row in self.rows):
            if len(self.rows) < self.height:
                self.rows = layout.until(last, self.height)
            self._revealed = None

    def _valid(self, anchor: Anchor) -> Anchor:
        """The same, or the nearest line that there is."""
        number = min(self.known.standing_for(anchor.number), max(0, self.total - 1))
        if self.only is not None and not self.only.holds(number):
            after = self.only.after(number)
            number = after if after is not None else self.only.at(len(self.only) - 1)
        return anchor if number == anchor.number else Anchor(number)

    def _ends(self, row: Row) -> bool:
        return row.line is not None and row.end == len(row.line.text)


def in_runs(numbers: Iterable[int]) -> list[range]:
    """Ascending numbers as ranges."""
    found = [[n for _, n in group] for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return [range(run[0], run[-1] + 1) for run in found]
