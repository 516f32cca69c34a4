"""Registries that did not answer, and when each is asked again. A run does not wait for that here: it is given back."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

from gyoza_tui.models.clock import Clock

FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 300.0


class _Rest(NamedTuple):
    until: float
    """Boot time."""
    pause_s: float
    why: str


class Registries:
    """Thread-safe. A registry that failed with all tries of a pull rests; the first pull after that asks it again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rests: dict[str, _Rest] = {}

    def resting(self, registry: str) -> str | None:
        """Why it is not asked now, and for how long; None when it may be asked."""
        with self._lock:
            rest = self._rests.get(registry)
        left = 0.0 if rest is None else rest.until - self._clock.boot()
        if rest is None or left <= 0:
            return None
        return f"the registry {registry} did not answer, next try in {left:.0f} s: {rest.why}"

    def failed(self, registry: str, why: str) -> None:
        """A pull has failed with all its tries. Others that were under way then do not prolong the rest."""
        now = self._clock.boot()
        with self._lock:
            last = self._rests.get(registry)
            if last is not None and last.until > now:
                return
            pause = FIRST_PAUSE_S if last is None else min(last.pause_s * 2, LONGEST_PAUSE_S)
            self._rests[registry] = _Rest(now + pause, pause, why)

    def answered(self, registry: str) -> None:
        with self._lock:
            self._rests.pop(registry, None)
