"""A clock that stands still: the test calls the ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo


class StillClock:
    ticking = False
    zone: tzinfo | None = UTC

    def __init__(self, now: datetime = datetime(2026, 3, 14, 2, 14, 10, tzinfo=UTC)) -> None:
        self._now = now

    def utc(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def pass_s(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
