"""The last minutes of a share of a hundred, in a few cells; always from 0 to 100."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from textual.content import Content

from gyoza_tui.models.hardware import HardwareSample

BUCKET_S: Final = 15
"""What one cell stands for; cells begin at multiples of it, so that they wander but do not flicker."""
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_UNKNOWN: Final = " "


def sparkline(shares: Sequence[float | None]) -> Content:
    return Content.styled("".join(map(_level, shares)), "$primary")


def buckets(
    samples: Sequence[HardwareSample], share: Callable[[HardwareSample], float | None], count: int
) -> tuple[float | None, ...]:
    """The means of the last `count` buckets, newest last; None where nothing was read."""
    if not samples:
        return (None,) * count
    last = int(samples[-1].taken_at // BUCKET_S)
    sums, counts = [0.0] * count, [0] * count
    for sample in reversed(samples):
        age = last - int(sample.taken_at // BUCKET_S)
        if age >= count:
            break
        if (value := share(sample)) is not None:
            sums[count - 1 - age] += value
            counts[count - 1 - age] += 1
    return tuple(total / n if n else None for total, n in zip(sums, counts, strict=True))


def _level(share: float | None) -> str:
    if share is None:
        return _UNKNOWN
    return _LEVELS[max(0, min(len(_LEVELS) - 1, int(share * len(_LEVELS) / 100)))]
