"""How long to wait after a failure: exponential, with jitter, capped, and woken by any success."""

from __future__ import annotations

import random
import threading
from typing import Final

from gyoza_tui.models.clock import Clock

CAP_S: Final = 30.0
_FIRST_S: Final = 0.5


class Backoff:
    """Of one thing that may fail. Thread-safe."""

    def __init__(self, clock: Clock, cap_s: float = CAP_S) -> None:
        self._clock = clock
        self._cap_s = cap_s
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def fail(self, at_least_s: float | None = None) -> float:
        """Note a failure; the seconds to wait. `at_least_s` is what the other side asked for."""
        with self._lock:
            delay: float = min(self._cap_s, _FIRST_S * 2 ** min(self._failures, 16))
            delay = max(delay * random.uniform(0.5, 1.0), min(at_least_s or 0.0, self._cap_s))
            self._failures += 1
            self._until = self._clock.boot() + delay
            return delay

    def pause(self, seconds: float) -> None:
        """Wait that long, whatever the cap: it is known that trying sooner is of no use."""
        with self._lock:
            self._until = self._clock.boot() + seconds

    def succeed(self) -> None:
        """Everything is well again: whoever waits may go on at once."""
        with self._lock:
            self._failures = 0
            self._until = 0.0

    @property
    def remaining_s(self) -> float:
        """Seconds until the next try; 0 when it may be made now."""
        with self._lock:
            return max(0.0, self._until - self._clock.boot())

    @property
    def failures(self) -> int:
        return self._failures
