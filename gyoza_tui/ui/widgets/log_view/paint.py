"""One row as a strip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from gyoza_tui.ui.widgets.log_view.cells import Cutout, cutout
from gyoza_tui.ui.widgets.log_view.layout import Row

_MORE: Final = "»"
Span = tuple[int, int, Style]


class Brush(NamedTuple):
    """What is the same for all rows of a window."""

    width: int
    """Cells of text."""
    first_cell: int
    """Of the text in the first column; 0 when lines are wrapped."""
    base: Style
    time_width: int
    time: Style
    more: Style
    """Of the sign that a row goes on beyond the edge."""


class Margin(NamedTuple):
    """What stands left and right of a row's text."""

    gutter: Segment
    time: str
    bar: Segment


def paint(row: Row | None, brush: Brush, margin: Margin, spans: Sequence[Span], over: Style | None = None) -> Strip:
    """`spans` colour the text, later ones on top of earlier ones; `over` the row as far as there is text or none."""
    base = brush.base + over if over else brush.base
    segments = [margin.gutter]
    if brush.time_width:
        segments.append(Segment(margin.time.ljust(brush.time_width), base + brush.time))
    used, room = 0, brush.width
    if row is not None and row.line is not None:
        text = row.line.text
        start, end, blank = _in_window(row, brush.first_cell, room)
        more = end < row.end
        if more:
            room -= 1
            start, end, blank = _in_window(row, brush.first_cell, room)
        if blank:
            segments.append(Segment(" " * blank, base))
        pieces = _pieces(text, start, end, base, spans)
        segments += [Segment(text[a:b], style) for a, b, style in pieces]
        used = blank + cell_len(text[start:end])
        if more:
            segments += [Segment(" " * (room - used), base), Segment(_MORE, base + brush.more)]
            used = brush.width
    if used < brush.width:
        segments.append(Segment(" " * (brush.width - used), base))
    segments.append(margin.bar)
    return Strip(segments, cell_len(margin.gutter.text) + brush.time_width + brush.width + cell_len(margin.bar.text))


def _in_window(row: Row, first_cell: int, width: int) -> Cutout:
    """What is shown of the row; one of a wrapped line fits, and begins where it begins."""
    assert row.line is not None
    if row.start:
        return Cutout(row.start, row.end, 0)
    start, end, blank = cutout(row.line.text[: row.end], first_cell, width)
    return Cutout(start, end, min(blank, width))


def _pieces(text: str, start: int, end: int, base: Style, spans: Sequence[Span]) -> list[Span]:
    """The text between two characters, cut where a style changes."""
    inside = [(max(a, start), min(b, end), style) for a, b, style in spans if a < end and b > start]
    if not inside:
        return [(start, end, base)] if end > start else []
    edges = sorted({start, end, *(a for a, _, _ in inside), *(b for _, b, _ in inside)})
    pieces: list[Span] = []
    for a, b in pairwise(edges):
        style = base
        for begin, stop, each in inside:
            if begin <= a and b <= stop:
                style += each
        pieces.append((a, b, style))
    return pieces
