"""What a mouse does with a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from textual.geometry import Offset
from textual.selection import Selection
from textual.timer import Timer

from gyoza_tui.ui.widgets.log_view import selecting
from gyoza_tui.ui.widgets.log_view.columns import Columns
from gyoza_tui.ui.widgets.log_view.window import Window

_WHEEL_ROWS: Final = 3
_DRAG_S: Final = 1 / 20
"""Between two scrolls while the mouse drags at an edge."""
_FASTER_EVERY: Final = 10
"""Scrolls after which each is a row more."""


class Pointed(Protocol):
    """What it is done with."""

    def scroll_rows(self, rows: int) -> None: ...

    def scroll_to_share(self, share: float) -> None: ...

    def put_cursor(self, number: int) -> None: ...

    def select(self, selection: Selection | None) -> None: ...

    def capture_mouse(self) -> None:
        """Have its moves though it is elsewhere, until it is released."""

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Timer: ...


@dataclass(slots=True)
class _Drag:
    begin: Offset
    """The character on which the button was pressed."""
    at: Offset
    """Where the mouse is, in cells of the window."""
    timer: Timer
    moved: bool = False
    scrolls: int = 0
    """Since it came to the edge."""


class Mouse:
    """Where it is comes in cells of the window."""

    def __init__(self, log: Pointed, window: Window, columns: Columns) -> None:
        self._log = log
        self._window = window
        self._columns = columns
        self._bar_grabbed = False
        self._drag: _Drag | None = None

    @property
    def selects(self) -> bool:
        """Whether the button is held on the text."""
        return self._drag is not None

    def wheel(self, direction: int) -> None:
        self._log.scroll_rows(direction * _WHEEL_ROWS)

    def press(self, at: Offset) -> None:
        if self._on_bar(at):
            self._bar_grabbed = True
            self._log.capture_mouse()
            self._scroll_to(at.y)
        elif (place := self._place_at(at)) is not None:
            self._log.select(None)
            self._drag = _Drag(place, at, self._log.set_interval(_DRAG_S, self._drag_on))
            self._log.capture_mouse()

    def move(self, at: Offset) -> None:
        if self._bar_grabbed:
            self._scroll_to(at.y)
        elif self._drag is not None and at != self._drag.at:
            self._drag.at, self._drag.moved = at, True
            self._select(self._drag)

    def release(self) -> None:
        self._bar_grabbed = False
        if self._drag is not None:
            self._drag.timer.stop()
            self._drag = None

    def click(self, at: Offset, times: int) -> None:
        """Once: the cursor; twice: the word; three times: the line."""
        rows = self._window.rows
        line = rows[at.y].line if at.y in range(len(rows)) else None
        if line is None or self._on_bar(at):
            return
        number = rows[at.y].number
        if times == 1:
            self._log.put_cursor(number)
            return
        character = self._columns.character_at(rows[at.y], at.x)
        word = selecting.word_at(line.text, character, number) if times == 2 else None
        self._log.select(word or selecting.line_at(line.text, number))

    def _place_at(self, at: Offset) -> Offset | None:
        """The character there, or the nearest one; None where there is no log."""
        rows = self._window.rows
        if not rows:
            return None
        row = rows[max(0, min(at.y, len(rows) - 1))]
        return Offset(self._columns.character_at(row, at.x), row.number)

    def _drag_on(self) -> None:
        """At an edge the text moves, the faster the longer."""
        drag = self._drag
        if drag is None or not drag.moved:
            return
        direction = self._beyond(drag)
        drag.scrolls = drag.scrolls + 1 if direction else 0
        if direction:
            self._log.scroll_rows(direction * (1 + drag.scrolls // _FASTER_EVERY))
            self._select(drag)

    def _beyond(self, drag: _Drag) -> int:
        """-1 above, 1 below. A row at an edge counts, for behind it may be no terminal; not where the drag began."""
        y, rows, last = drag.at.y, self._window.rows, self._window.height - 1
        if not rows or 0 < y < last:
            return 0
        if 0 <= y <= last and rows[0 if y == 0 else -1].number == drag.begin.y:
            return 0
        return -1 if y <= 0 else 1

    def _select(self, drag: _Drag) -> None:
        if (place := self._place_at(drag.at)) is not None:
            self._log.select(selecting.between(drag.begin, place))

    def _on_bar(self, at: Offset) -> bool:
        return bool(self._window.thumb) and self._columns.on_scrollbar(at.x)

    def _scroll_to(self, y: int) -> None:
        self._log.scroll_to_share(min(1.0, max(0.0, y / max(1, self._window.height - 1))))
