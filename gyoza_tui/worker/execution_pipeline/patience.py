"""How long a call of a backend is repeated."""

from __future__ import annotations

from typing import Final

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, BackendUnavailable, VanishedHandle
from gyoza_tui.models.clock import Clock

FAULTS_S: Final = 300.0
"""How long a call is repeated that fails although the engine answers."""


class Patience:
    """With one call that must succeed: for ever while the engine does not answer, never once the attempt is gone, or is
    on another engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None

    def over(self, error: BackendError) -> bool:
        """Whether the call is given up after it failed with this."""
        if isinstance(error, BackendUnavailable):
            self._since = None
            return False
        now = self._clock.boot()
        self._since = now if self._since is None else self._since
        return isinstance(error, VanishedHandle | AttemptElsewhere) or now - self._since >= FAULTS_S
