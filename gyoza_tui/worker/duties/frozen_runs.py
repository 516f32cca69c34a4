"""Which containers were paused from outside, or go on again."""

from __future__ import annotations

from gyoza_tui.backends.base import Backend
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.duties.complaints import Complaints
from gyoza_tui.worker.duties.orphaned_containers import SWEEP_S
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots


class FrozenRuns:
    def __init__(self, clock: Clock, notices: Notices, journal: Journal, slots: Slots, identity: Identity) -> None:
        self._clock = clock
        self._notices = notices
        self._journal = journal
        self._slots = slots
        self._identity = identity
        self._complaints = Complaints(notices, SWEEP_S)

    def look(self, backend: Backend) -> None:
        """Record and report what has changed."""
        rows = [row for row in self._journal.active() if row.backend == backend.name and row.started_at is not None]
        here = [row for row in rows if not self._slots.is_held(row.key)]
        running = [row for row in here if row.exit is None and row.outcome is None]
        if not running:
            return
        with self._complaints.about(f"{backend.name}: what is paused there is not known"):
            frozen = backend.frozen(self._identity.labels)
            for row in running:
                if (row.name in frozen) != (row.frozen_since is not None):
                    self._froze(row, row.name in frozen)

    def _froze(self, row: RunRow, frozen: bool) -> None:
        now = self._clock.utc()
        self._journal.update(row.key, frozen_since=now.timestamp() if frozen else None)
        text = "was paused from outside" if frozen else "goes on; it had been paused from outside"
        self._slots.note(row.key, f"{now:%H:%M:%S} UTC: the container {text}")
        self._notices.say(f"{row.run_id}: its container {text}", "warning" if frozen else "info", run=row.run_id)
