"""Rows of a log as strips, with its styles."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.segment import Segment
from textual.selection import Selection
from textual.strip import Strip

from gyoza_tui.ui.options import UiClock
from gyoza_tui.ui.outside_text import cut
from gyoza_tui.ui.widgets.log_view.columns import Columns
from gyoza_tui.ui.widgets.log_view.line_text import ShownLine
from gyoza_tui.ui.widgets.log_view.paint import Brush, Margin, Span, paint
from gyoza_tui.ui.widgets.log_view.picture import Drawn
from gyoza_tui.ui.widgets.log_view.styles import Styles
from gyoza_tui.worker.view.control import Stream

_TIME: Final = "%H:%M:%S "
_STRIPS_MAX: Final = 500


class Painter:
    """What it has painted it keeps, until something is said to look different."""

    def __init__(self, columns: Columns, clock: UiClock, find_styles: Callable[[], Styles]) -> None:
        self._columns = columns
        self._clock = clock
        self._find_styles = find_styles
        self._found: Styles | None = None
        self._marked: Sequence[re.Pattern[str]] = ()
        self._strips: dict[tuple[int, int, bool, str], tuple[ShownLine | None, Strip]] = {}
        """By what is the same wherever the row stands."""

    def mark(self, patterns: Sequence[re.Pattern[str]]) -> None:
        """Highlight what matches one of them, and nothing else."""
        self._marked = patterns
        self.forget()

    def forget(self) -> None:
        """Nothing looks as it did."""
        self._strips.clear()

    def restyle(self) -> None:
        """The styles may be others."""
        self._found = None
        self.forget()

    def words(self, text: str) -> Strip:
        """A row that is not the log's."""
        width, base = self._columns.row_width, self._styles.base
        words = Segment(cut(f" {text}", width), base + self._styles.partial["mark"])
        return Strip([words]).adjust_cell_length(width, base)

    def strip(self, drawn: Drawn, bar: str, selection: Selection | None = None) -> Strip:
        """`bar` is the name of the scrollbar's style, if there is one."""
        if selection is not None:
            return self._painted(drawn, bar, selection)
        row = drawn.row
        key = (row.number if row else -1, row.start if row else 0, drawn.cursor, bar)
        line = row.line if row else None
        painted, strip = self._strips.get(key, (None, None))
        if strip is None or painted is not line:
            strip = self._painted(drawn, bar, None)
            if len(self._strips) > _STRIPS_MAX:
                self._strips.clear()
            self._strips[key] = (line, strip)
        return strip

    @property
    def _styles(self) -> Styles:
        if self._found is None:
            self._found = self._find_styles()
        return self._found

    def _painted(self, drawn: Drawn, bar: str, selection: Selection | None) -> Strip:
        over = self._styles.ground["cursor"] if drawn.cursor else None
        strip = paint(drawn.row, self._brush(), self._margin(drawn, bar), self._spans(drawn, selection), over)
        return strip.adjust_cell_length(self._columns.row_width, self._styles.base)

    def _brush(self) -> Brush:
        columns, styles = self._columns, self._styles
        return Brush(
            width=columns.text_width,
            first_cell=columns.first_cell,
            base=styles.base,
            time_width=columns.time_width,
            time=styles.partial["time"],
            more=styles.partial["time"],
        )

    def _margin(self, drawn: Drawn, bar: str) -> Margin:
        line = drawn.row.line if drawn.row else None
        base = self._styles.base
        return Margin(
            self._gutter(line, drawn.cursor),
            self._time(line) if drawn.row and not drawn.row.start else "",
            Segment(" ", base + self._styles.ground[bar] if bar else base),
        )

    def _gutter(self, line: ShownLine | None, cursor: bool) -> Segment:
        styles = self._styles
        base = styles.base + styles.ground["cursor"] if cursor else styles.base
        if line is not None and line.source.stream is Stream.STDERR:
            return Segment("▎", base + styles.partial["error"])
        return Segment("►" if cursor else " ", base)

    def _time(self, line: ShownLine | None) -> str:
        if line is None or not line.source.at:
            return ""
        return datetime.fromtimestamp(line.source.at, UTC).astimezone(self._clock.zone).strftime(_TIME)

    def _spans(self, drawn: Drawn, selection: Selection | None) -> list[Span]:
        row, styles = drawn.row, self._styles.partial
        if row is None or row.line is None:
            return []
        text, spans = row.line.text, list(row.line.spans)
        if row.line.reports:
            spans.append((0, len(text), styles["report"]))
        if row.line.source.stream is None:
            spans.append((0, len(text), styles["mark"]))
        match = styles["here" if drawn.cursor else "match"]
        for pattern in self._marked:
            spans += [(*found.span(), match) for found in pattern.finditer(text)]
        if selection and (chosen := selection.get_span(row.number)):
            end = len(text) if chosen[1] < 0 else chosen[1]
            spans.append((max(0, chosen[0]), end, self._styles.selection))
        return spans
