"""How long to wait after a failure: longer each time, up to the last pause, and no longer once anything succeeds."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Final

from gyoza_tui.models.clock import Clock


def doubling(first_s: float, longest_s: float) -> tuple[float, ...]:
    """Pauses, each twice the one before, up to the longest."""
    pauses = [first_s]
    while pauses[-1] < longest_s:
        pauses.append(min(pauses[-1] * 2, longest_s))
    return tuple(pauses)


PAUSES_S: Final = doubling(0.5, 30.0)


class Backoff:
    """The pauses after the failures of one thing. Thread-safe."""

    def __init__(self, clock: Clock, pauses_s: Sequence[float] = PAUSES_S, *, jitter: bool = True) -> None:
        """`pauses_s`: after the first failure and those that follow; the last is repeated.

        `jitter` shortens each by up to a half, so that those who failed together do not try again together.
        """
        self._clock = clock
        self._pauses_s = pauses_s
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def fail(self, at_least_s: float | None = None) -> float:
        """Note a failure; the seconds to wait. `at_least_s` is what the other side asked for, up to the last pause."""
        with self._lock:
            pause = self._pauses_s[min(self._failures, len(self._pauses_s) - 1)]
            pause *= random.uniform(0.5, 1.0) if self._jitter else 1.0
            pause = max(pause, min(at_least_s or 0.0, self._pauses_s[-1]))
            self._failures += 1
            self._until = self._clock.boot() + pause
            return pause

    def pause(self, seconds: float) -> None:
        """Wait that long, whatever the pauses are: it is known that trying sooner is of no use."""
        with self._lock:
            self._until = self._clock.boot() + seconds

    def hurry(self) -> None:
        """Try at once; another failure is still one more."""
        with self._lock:
            self._until = 0.0

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
