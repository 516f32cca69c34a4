"""The one clock. Durations are decided on boot time, which goes on while a laptop sleeps; UTC is only for show."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Final, Protocol

MOMENT_MAX: Final = 253_402_300_800.0
"""UTC seconds that no moment of ours reaches: the year 10000."""


class Clock(Protocol):
    def boot(self) -> float:
        """Seconds on CLOCK_BOOTTIME; never goes back, never stands still."""

    def utc(self) -> datetime: ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until `event` is set or `timeout_s` is over; whether it is set."""


class SystemClock:
    def boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def utc(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(max(0.0, timeout_s))
