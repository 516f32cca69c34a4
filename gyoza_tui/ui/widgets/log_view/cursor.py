"""The line that a person is at."""

from __future__ import annotations

from gyoza_tui.ui.widgets.log_view.line_text import ShownLine
from gyoza_tui.ui.widgets.log_view.window import Window


class Cursor:
    """It stays on its line, also where that leaves the screen."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self.number: int | None = None
        """None: nobody has put it anywhere."""

    @property
    def place(self) -> int | None:
        """The line that things are about: the cursor's, else the last one, or the first on the screen."""
        numbers = self._window.numbers
        if not numbers or self.number in numbers:
            return self.number if numbers else None
        return numbers[-1 if self._window.follow else 0]

    @property
    def line(self) -> ShownLine | None:
        """At that place, if it is at hand."""
        place = self.place
        return None if place is None else self._window.known.get(place)

    def move(self, lines: int) -> None:
        """By one line; at the edge of the screen the text moves."""
        numbers = self._window.numbers
        if not numbers:
            return
        if lines < 0:
            self._window.stand_still()
        if self.number not in numbers:
            self.number = numbers[-1 if lines < 0 else 0]
        elif (wanted := numbers.index(self.number) + lines) in range(len(numbers)):
            self.number = numbers[wanted]
        else:
            self._window.scroll(lines)
            self.number = self._window.numbers[-1 if lines > 0 else 0]

    def go_to(self, number: int) -> None:
        """To a line, and the line on the screen."""
        self.number = number
        self._window.reveal(number)
