"""What a mouse does with the window."""

from __future__ import annotations

from typing import Final

from textual import events

from gyoza_tui.ui.widgets.log_view import selecting
from gyoza_tui.ui.widgets.log_view.canvas import Canvas

_WHEEL_ROWS: Final = 3


class PointedCanvas(Canvas):
    _bar_grabbed = False

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
        if self._on_bar(event):
            self._bar_grabbed = True
            self.capture_mouse()
            self._drag_to(event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._bar_grabbed:
            self._drag_to(event.y)

    def on_mouse_up(self) -> None:
        if self._bar_grabbed:
            self._bar_grabbed = False
            self.release_mouse()

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
        _, place = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        word = selecting.word_at(line.text, place.x, number) if event.chain == 2 and place is not None else None
        self.screen.selections = {self: word or selecting.line_at(line.text, number)}

    def _on_bar(self, event: events.MouseEvent) -> bool:
        return bool(self._thumb) and event.x == self.size.width - 1

    def _drag_to(self, y: int) -> None:
        self._window.go_to_share(min(1.0, max(0.0, y / max(1, self.size.height - 1))))
        self._moved()
