"""What stands on the screen, row by row."""

from __future__ import annotations

from typing import NamedTuple

from gyoza_tui.ui.widgets.log_view.layout import Row
from gyoza_tui.ui.widgets.log_view.window import Window


class Drawn(NamedTuple):
    """What one row of the screen shows, but for the selection."""

    row: Row | None
    cursor: bool


class Picture:
    """Compared with what is to stand there, it says what has to be painted."""

    def __init__(self) -> None:
        self._drawn: list[Drawn] = []
        self._thumb = range(0)

    def row(self, y: int) -> Drawn:
        return self._drawn[y] if y < len(self._drawn) else Drawn(None, False)

    def bar(self, y: int) -> str:
        """The name of the scrollbar's style in that row; empty where there is none."""
        if not self._thumb:
            return ""
        return "thumb" if y in self._thumb else "bar"

    def show(self, window: Window, cursor: int | None) -> list[int]:
        """Take up what is in the window now; the rows that look different."""
        rows: list[Row | None] = [*window.rows]
        rows += [None] * (window.height - len(rows))
        drawn = [Drawn(row, row is not None and row.number == cursor) for row in rows]
        changed = [y for y, each in enumerate(drawn) if y >= len(self._drawn) or each != self._drawn[y]]
        self._drawn = drawn
        if window.thumb != self._thumb:
            self._thumb = window.thumb
            changed = list(range(len(drawn)))
        return changed

    def forget(self) -> None:
        """Nothing stands there any more as it should."""
        self._drawn.clear()
