"""A clock that only a test turns."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from gyoza_tui.models.clock import SystemClock

_NEVER_S = 30.0
"""Longer than any test waits."""
_BEGIN = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)


class FakeClock:
    """`wait` turns the clock by the time waited instead of waiting, unless the event is set already."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()
        self.waits: list[float] = []
        """How long each `wait` would have taken."""

    def boot(self) -> float:
        with self._lock:
            return self._now

    def utc(self) -> datetime:
        return _BEGIN + timedelta(seconds=self.boot())

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.turn(max(0.0, timeout_s))
            self.waits.append(timeout_s)
        return event.is_set()

    def turn(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


class StandingClock(FakeClock):
    """`wait` waits for the event, however long that takes: what nothing wakes stands still."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        assert event.wait(_NEVER_S), "nothing woke it"
        return True


class TurnedClock(SystemClock):
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def boot(self) -> float:
        return super().boot() + self._ahead_s

    def utc(self) -> datetime:
        return super().utc() + timedelta(seconds=self._ahead_s)

    def turn(self, seconds: float) -> None:
        self._ahead_s += seconds
