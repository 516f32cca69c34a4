"""Which columns a line has room for, and how wide each becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Column(NamedTuple):
    name: str
    least: int
    best: int
    """What it may grow to."""
    rank: int = 0
    """The higher, the sooner it goes where there is no room; what has 0 stays, cut if need be."""
    pace: int = 1
    """Cells that it grows by while others grow by one."""


def fit(columns: Sequence[Column], width: int, gap: int) -> dict[str, int]:
    """The columns that stay, in their order, with their widths; with a gap between each two at most `width` cells."""
    kept = list(columns)
    while _least(kept, gap) > width and len(kept) > 1 and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    widths = {column.name: column.least for column in kept}
    spare = width - _least(kept, gap)
    if spare < 0:
        return _cut(widths, width, gap)
    while spare and (growing := [column for column in kept if widths[column.name] < column.best]):
        for column in growing:
            grown = min(spare, column.pace, column.best - widths[column.name])
            widths[column.name] += grown
            spare -= grown
    return widths


def _least(columns: Sequence[Column], gap: int) -> int:
    return sum(column.least for column in columns) + gap * (len(columns) - 1)


def _cut(widths: dict[str, int], width: int, gap: int) -> dict[str, int]:
    """What does not fit goes from the end on."""
    cut = {}
    for name, wanted in widths.items():
        if (given := min(wanted, width)) > 0:
            cut[name] = given
        width -= wanted + gap
    return cut
