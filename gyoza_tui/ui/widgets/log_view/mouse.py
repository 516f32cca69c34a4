"""What a mouse does with the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual import events
from textual.geometry import Offset
from textual.timer import Timer

from gyoza_tui.ui.widgets.log_view import selecting
from gyoza_tui.ui.widgets.log_view.canvas import Canvas
from gyoza_tui.ui.widgets.log_view.cells import character_at

_LEFT: Final = 1
_WHEEL_ROWS: Final = 3
_DRAG_S: Final = 1 / 20
"""Between two scrolls while the mouse drags at an edge."""
_FASTER_EVERY: Final = 10
"""Scrolls after which each is a row more."""


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


class PointedCanvas(Canvas):
    ALLOW_SELECT = False
    """By Textual: its selection ends at the edge, or goes on in what stands beside."""
    _bar_grabbed = False
    _drag: _Drag | None = None

    def scroll_rows(self, rows: int) -> None:
        raise NotImplementedError

    def _moved(self) -> None:
        """The window has other rows, or a cursor elsewhere."""
        raise NotImplementedError

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self.scroll_rows(-_WHEEL_ROWS)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.scroll_rows(_WHEEL_ROWS)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.on_mouse_release()  # a button that was let go outside the terminal was not told
        if event.button != _LEFT:
            return
        if self._on_bar(event):
            self._bar_grabbed = True
            self.capture_mouse()
            self._drag_to(event.y)
        elif (place := self._place_at(event.x, event.y)) is not None:
            self.screen.clear_selection()
            self._drag = _Drag(place, event.offset, self.set_interval(_DRAG_S, self._drag_on))
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._bar_grabbed:
            self._drag_to(event.y)
        elif self._drag is not None and event.offset != self._drag.at:
            self._drag.at, self._drag.moved = event.offset, True
            self._select()

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def on_mouse_release(self) -> None:
        """Also when another screen takes the mouse."""
        self._bar_grabbed = False
        if self._drag is not None:
            self._drag.timer.stop()
            self._drag = None

    def on_click(self, event: events.Click) -> None:
        """Once: the cursor; twice: the word; three times: the line."""
        event.prevent_default()
        rows = self._window.rows
        line = rows[event.y].line if event.y in range(len(rows)) else None
        if line is None or self._on_bar(event):
            return
        number = rows[event.y].number
        if event.chain == 1:
            self._cursor = number
            self._moved()
            return
        place = self._place_at(event.x, event.y)
        word = selecting.word_at(line.text, place.x, number) if event.chain == 2 and place is not None else None
        self.screen.selections = {self: word or selecting.line_at(line.text, number)}

    def _place_at(self, x: int, y: int) -> Offset | None:
        """The character there, or the nearest one; None where there is no log."""
        rows = self._window.rows
        if not rows:
            return None
        row = rows[max(0, min(y, len(rows) - 1))]
        if row.line is None:
            return Offset(0, row.number)
        cell = max(0, x - self._text_begin)
        start, cell = (row.start, cell) if self._wrap else (0, cell + self._first_cell)
        end = row.end if row.end == len(row.line.text) else row.end - 1
        return Offset(min(end, character_at(row.line.text, start, cell)), row.number)

    def _drag_on(self) -> None:
        """At an edge the text moves, the faster the longer."""
        drag = self._drag
        if drag is None or not drag.moved:
            return
        direction = self._beyond(drag)
        drag.scrolls = drag.scrolls + 1 if direction else 0
        if direction:
            self.scroll_rows(direction * (1 + drag.scrolls // _FASTER_EVERY))
            self._select()

    def _beyond(self, drag: _Drag) -> int:
        """-1 above, 1 below. A row at an edge counts, for behind it may be no terminal; not where the drag began."""
        y, rows, last = drag.at.y, self._window.rows, self._window.height - 1
        if not rows or 0 < y < last:
            return 0
        if 0 <= y <= last and rows[0 if y == 0 else -1].number == drag.begin.y:
            return 0
        return -1 if y <= 0 else 1

    def _select(self) -> None:
        if self._drag is not None and (place := self._place_at(*self._drag.at)) is not None:
            self.screen.selections = {self: selecting.between(self._drag.begin, place)}

    def _on_bar(self, event: events.MouseEvent) -> bool:
        return bool(self._thumb) and event.x == self._room.width - 1

    def _drag_to(self, y: int) -> None:
        self._window.go_to_share(min(1.0, max(0.0, y / max(1, self._room.height - 1))))
        self._moved()
