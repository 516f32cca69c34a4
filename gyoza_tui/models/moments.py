"""Moments as a person types them: `10m` ago, `2026-11-20`, `2026-11-20T10:00`."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from gyoza_tui.models import durations

EXAMPLES: Final = "30m, 1h, 2d, 2026-11-20 or 2026-11-20T10:00"


class Moment(NamedTuple):
    """`ago_s` before the time of looking, or a time in UTC seconds."""

    ago_s: float | None = None
    at: float = 0.0

    def seconds(self, now: float) -> float:
        return self.at if self.ago_s is None else now - self.ago_s


def moment(text: str) -> Moment:
    """A day or a time of day without a zone is the machine's. Raises ValueError."""
    if (ago := durations.with_units(text)) is not None:
        return Moment(ago_s=ago)
    try:
        return Moment(at=datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text[:40]!a} is no time: write it as {EXAMPLES}") from None
