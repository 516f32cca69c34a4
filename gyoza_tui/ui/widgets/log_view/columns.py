"""Which cells of a row are the log's text, and which part of the text stands in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.cells import cell_len

from gyoza_tui.ui.widgets.log_view.cells import character_at
from gyoza_tui.ui.widgets.log_view.layout import Row

_GUTTER: Final = 1
_SCROLLBAR: Final = 1
_TIME: Final = len("00:00:00 ")
_TIMES_FROM_WIDTH: Final = 100
"""Cells from which on times are shown unless the user said otherwise."""


class Columns:
    """Gutter, time, text and scrollbar."""

    def __init__(self, row_width: Callable[[], int]) -> None:
        self._row_width = row_width
        self._times: bool | None = None
        """None: where there is room for them."""
        self.wraps = False
        self.first_cell = 0
        """Of the text, in its first column; 0 when lines are wrapped."""

    @property
    def row_width(self) -> int:
        return self._row_width()

    @property
    def time_width(self) -> int:
        """0 where no time is shown."""
        shown = self.row_width >= _TIMES_FROM_WIDTH if self._times is None else self._times
        return _TIME if shown else 0

    @property
    def text_width(self) -> int:
        return max(1, self.row_width - _GUTTER - self.time_width - _SCROLLBAR)

    @property
    def wrap_at(self) -> int | None:
        """Cells after which lines are wrapped; None: they are not."""
        return self.text_width if self.wraps else None

    def toggle_times(self) -> None:
        self._times = not self.time_width

    def toggle_wrap(self) -> None:
        self.wraps, self.first_cell = not self.wraps, 0

    def move_sideways(self, halves: int, longest: int) -> None:
        """By halves of the width, within the cells of the longest line."""
        if not self.wraps:
            half = max(1, self.text_width // 2)
            self.first_cell = max(0, min(self.first_cell + halves * half, longest // half * half))

    def bring_in(self, text: str, start: int, end: int) -> bool:
        """Move sideways, if need be, until those characters are on the screen; whether there was need."""
        begin, stop, width = cell_len(text[:start]), cell_len(text[:end]), self.text_width
        if self.wraps or (self.first_cell <= begin and stop <= self.first_cell + width):
            return False
        self.first_cell = 0 if stop <= width else max(0, begin - width // 2)
        return True

    def character_at(self, row: Row, x: int) -> int:
        """The character of the row's line in that column, or the nearest one of the row."""
        if row.line is None:
            return 0
        cell = max(0, x - _GUTTER - self.time_width)
        end = row.end if row.end == len(row.line.text) else row.end - 1
        return min(end, character_at(row.line.text, row.start, cell + self.first_cell))

    def on_scrollbar(self, x: int) -> bool:
        return x == self.row_width - _SCROLLBAR
