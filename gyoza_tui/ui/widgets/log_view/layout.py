"""Which rows fill the window."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from gyoza_tui.ui.widgets.log_view.cells import row_starts
from gyoza_tui.ui.widgets.log_view.line_text import ShownLine


class Anchor(NamedTuple):
    """A place in the log that stays when lines come or the width changes."""

    number: int
    character: int = 0
    """Of the line, on its row."""


class Order(Protocol):
    """Which lines there are."""

    def get(self, number: int) -> ShownLine | None:
        """The line, if it is at hand."""

    def after(self, number: int) -> int | None: ...

    def before(self, number: int) -> int | None: ...


class Row(NamedTuple):
    number: int
    line: ShownLine | None
    """None: not at hand yet."""
    start: int
    """The characters of the line in this row."""
    end: int

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.number, self.start)


class Layout(NamedTuple):
    order: Order
    width: int | None
    """At which lines are wrapped; None: they are not."""

    def rows(self, number: int) -> list[Row]:
        line = self.order.get(number)
        if line is None:
            return [Row(number, None, 0, 0)]
        if self.width is None:
            return [Row(number, line, 0, len(line.text))]
        starts = row_starts(line.text, self.width)
        return [Row(number, line, a, b) for a, b in zip(starts, (*starts[1:], len(line.text)), strict=True)]

    def below(self, anchor: Anchor, height: int) -> list[Row]:
        """Rows from the anchor's on, `height` at most."""
        rows = self.rows(anchor.number)
        del rows[: _row_of(rows, anchor.character)]
        number = anchor.number
        while len(rows) < height and (following := self.order.after(number)) is not None:
            number = following
            rows += self.rows(number)
        return rows[:height]

    def above(self, anchor: Anchor, height: int) -> list[Row]:
        """Rows before the anchor's, the last `height` at most."""
        rows = self.rows(anchor.number)
        parts = [rows[: _row_of(rows, anchor.character)]]
        number, count = anchor.number, len(parts[0])
        while count < height and (preceding := self.order.before(number)) is not None:
            number = preceding
            parts.append(self.rows(number))
            count += len(parts[-1])
        return [row for part in reversed(parts) for row in part][max(0, count - height) :]

    def until(self, number: int, height: int) -> list[Row]:
        """The last `height` rows up to the end of that line."""
        rows = self.rows(number)
        missing = max(0, height - len(rows))
        return self.above(Anchor(number), missing) + rows[-height:]

    def window(self, anchor: Anchor, height: int, last: int) -> list[Row]:
        """`height` rows from the anchor's on; where the log ends before, its last ones."""
        rows = self.below(anchor, height)
        complete = len(rows) == height or any(row.line is None for row in rows)
        return rows if complete else self.until(last, height)

    def moved(self, anchor: Anchor, by: int) -> Anchor:
        """The anchor `by` rows further down, as far as there are rows."""
        if by >= 0:
            return self.below(anchor, by + 1)[-1].anchor
        rows = self.above(anchor, -by)
        return rows[0].anchor if rows else anchor


def _row_of(rows: list[Row], character: int) -> int:
    return max((i for i, row in enumerate(rows) if row.start <= character), default=0)
