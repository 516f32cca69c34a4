"""When the engine was not there: what an end of an op is judged by."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

NEAR_S: Final = 15.0
"""A nonzero exit this close to a failed call or a lost stream is the machine's."""
_KEPT: Final = 1024


class Troubles:
    """Times (UTC) of failed calls and lost streams. Those of one long outage are kept as one span."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._count = 0
        self._spans: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    @property
    def count(self) -> int:
        """How many were noted so far."""
        return self._count

    def note(self) -> None:
        at = self._now()
        with self._lock:
            self._count += 1
            if self._spans and 0 <= at - self._spans[-1][1] <= NEAR_S:
                first, _ = self._spans.pop()
                self._spans.append((first, at))
            else:
                self._spans.append((at, at))

    def near(self, at: float) -> bool:
        """Whether the engine was away within ± 15 s of `at`."""
        with self._lock:
            return any(first - NEAR_S <= at <= last + NEAR_S for first, last in self._spans)
