"""Registries that did not answer, and when each is asked again. A run does not wait for that here: it is given back."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.backoff import Backoff, doubling

_PAUSES_S: Final = doubling(5.0, 300.0)


class _Rest(NamedTuple):
    backoff: Backoff
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
        if rest is None or (left := rest.backoff.remaining_s) == 0:
            return None
        return f"the registry {registry} did not answer, next try in {left:.0f} s: {rest.why}"

    def failed(self, registry: str, why: str) -> None:
        """A pull has failed with all its tries. Others that were under way then do not prolong the rest."""
        with self._lock:
            last = self._rests.get(registry)
            backoff = Backoff(self._clock, _PAUSES_S, jitter=False) if last is None else last.backoff
            if backoff.remaining_s == 0:
                backoff.fail()
                self._rests[registry] = _Rest(backoff, why)

    def answered(self, registry: str) -> None:
        with self._lock:
            self._rests.pop(registry, None)
