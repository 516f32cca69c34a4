"""A share of a hundred as a bar: always from 0 to 100, so that two of them can be compared."""

from __future__ import annotations

from typing import Final

from textual.content import Content

HOT: Final = 95.0
"""From here on what should not be full is amber."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_BAR: Final = "$primary on $primary-muted"
_HOT_BAR: Final = "$warning on $primary-muted"
_EMPTY: Final = "$text-muted on $primary-muted"


def meter(percent: float | None, width: int, *, hot: bool = False) -> Content:
    """`width` cells in eighths. Only 0 is empty and only 100 is full; unknown is a `?` in the middle."""
    if width <= 0:
        return Content()
    if percent is None:
        return Content.styled(f"{'?':^{width}}", _EMPTY)
    full = width * 8
    share = max(0.0, min(100.0, percent)) / 100
    eighths = round(share * full)
    if 0 < share < 1:
        eighths = max(1, min(full - 1, eighths))
    whole, rest = divmod(eighths, 8)
    bar = "█" * whole + (_EIGHTHS[rest] if rest else "")
    return Content.styled(bar.ljust(width), _HOT_BAR if hot else _BAR)
