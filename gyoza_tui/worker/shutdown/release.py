"""Stop what is here and give it back, then end."""

from __future__ import annotations

from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.wakes import Wakes

DELIVER_AFTER_RELEASE_S: Final = 10.0


class Release:
    """All containers are stopped and their runs given back."""

    def __init__(
        self, clock: Clock, journal: Journal, slots: Slots, deliver: Deliver, mode: ClaimingMode, wakes: Wakes
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._slots = slots
        self._deliver = deliver
        self._mode = mode
        self._wakes = wakes
        self._stopped_at: float | None = None

    def done(self) -> bool:
        """Whether all containers are gone and their reports delivered, or tried for long enough."""
        self._mode.drain(True)
        for row in self._journal.active():
            if not self._slots.is_held(row.key):
                self._slots.intend(row, Intent.RELEASE, "the worker was stopped")
        if self._slots.busy:
            return False
        if self._stopped_at is None:
            self._stopped_at = self._clock.boot()
            self._wakes.deliver.set()
        return self._deliver.waiting() == 0 or self._clock.boot() >= self._stopped_at + DELIVER_AFTER_RELEASE_S
