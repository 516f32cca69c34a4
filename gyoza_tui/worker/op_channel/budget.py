"""How much one attempt may ask on its socket, and how much of the worker's memory that may take."""

from __future__ import annotations

from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import KIB, MIB

BURST: Final = 1000
PER_SECOND: Final = 200
_COST_OF: Final = 16 * KIB
"""Of so many bytes each costs as much as a message."""
READ_MAX: Final = 8 * MIB
"""Bytes of unfinished messages, over all connections of an attempt."""
UNSENT_MAX: Final = 24 * MIB
"""Bytes of answers that the op has not read, before results are refused."""


class Budget:
    """Of one attempt. What is over it waits; nothing is lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._filled_at = clock.boot()
        self.read = 0
        self.unsent = 0

    def spend(self, size: int) -> float:
        """For a message of that many bytes; the seconds until the next may be taken."""
        now = self._clock.boot()
        self._left = min(float(BURST), self._left + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        self._left -= 1 + size / _COST_OF
        return max(0.0, -self._left / PER_SECOND)

    @property
    def is_full(self) -> bool:
        """Whether no large answer is to be made now."""
        return self.unsent > UNSENT_MAX
