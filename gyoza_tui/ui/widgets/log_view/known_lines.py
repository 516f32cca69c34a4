"""The lines at hand, of a log that is elsewhere and grows."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Final

from gyoza_tui.ui.widgets.log_view.line_text import ShownLine
from gyoza_tui.worker.view.control import LogLine, LogPage

_KEPT: Final = 500


class KnownLines:
    """By number, with those numbers that have no line because it was cut."""

    def __init__(self, show: Callable[[LogLine], ShownLine]) -> None:
        self._show = show
        self._lines: dict[int, ShownLine] = {}
        self._growing: set[int] = set()
        self._cut = range(0)
        self.total = 0

    def get(self, number: int) -> ShownLine | None:
        return self._lines.get(number)

    def standing_for(self, number: int) -> int:
        """The number of the line that is shown for it: its own, or the mark's where it was cut."""
        return self._cut.start if number in self._cut else number

    def after(self, number: int) -> int | None:
        number = self._cut.stop if number in self._cut else number + 1
        return number if number < self.total else None

    def before(self, number: int) -> int | None:
        return self.standing_for(number - 1) if number > 0 else None

    def take(self, page: LogPage, asked: Iterable[int]) -> None:
        """What an answer says; `asked` are the numbers that it should have held."""
        self.total = max(self.total, page.total)
        for number in self._growing:
            self._lines.pop(number, None)
        self._growing.clear()
        for line in page.lines:
            self._add(line)
        for number in asked:
            if number < self.total and self.standing_for(number) not in self._lines:
                self._add(LogLine(number, None, 0.0, b"", partial=True))
                self._growing.add(number)

    def forget(self, wanted: Container[int]) -> None:
        """When there are many, those that came first, but for the wanted ones."""
        if len(self._lines) > 2 * _KEPT:
            for number in list(self._lines)[:_KEPT]:
                if number not in wanted:
                    del self._lines[number]

    def _add(self, line: LogLine) -> None:
        known = self._lines.get(line.number)
        if known is None or known.source != line:
            self._lines[line.number] = self._show(line)
        if line.partial and line.number + max(1, line.cut_lines) >= self.total:
            self._growing.add(line.number)
        if line.cut_lines:
            self._cut = range(line.number, line.number + line.cut_lines)
            for number in [number for number in self._lines if number in self._cut and number != line.number]:
                del self._lines[number]
