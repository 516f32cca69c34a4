"""The scrollbar's thumb, counted in lines."""

from __future__ import annotations


def thumb(height: int, lines: int, first: int, visible: int) -> range:
    """The cells of a bar `height` high for `visible` of `lines` from `first` on; none where all are visible."""
    if height <= 0 or visible >= lines:
        return range(0)
    size = max(1, height * visible // lines)
    begin = round((height - size) * min(1.0, first / (lines - visible)))
    return range(begin, begin + size)
