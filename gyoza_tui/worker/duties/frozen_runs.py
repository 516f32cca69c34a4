"""Which containers were paused, or go on again, and not by us."""

from __future__ import annotations

from gyoza_tui.backends.base import Backend
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.duties.complaints import Complaints
from gyoza_tui.worker.duties.orphaned_containers import SWEEP_S
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Level, Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.slots.freeze_wishes import FreezeWishes
from gyoza_tui.worker.wakes import Wakes


class FrozenRuns:
    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        journal: Journal,
        slots: Slots,
        wishes: FreezeWishes,
        wakes: Wakes,
        identity: Identity,
    ) -> None:
        self._clock = clock
        self._notices = notices
        self._journal = journal
        self._slots = slots
        self._wishes = wishes
        self._wakes = wakes
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
                now = self._journal.get(row.key)
                if now is not None and now.frozen_since == row.frozen_since and not now.thaw_asked:
                    self._compare(now, frozen=row.name in frozen)

    def _compare(self, row: RunRow, *, frozen: bool) -> None:
        if frozen and row.frozen_since is None and not row.freeze_by:
            self._journal.update(row.key, frozen_since=self._clock.utc().timestamp())
            self._slots.wake(row.key)
            self._wakes.beat.set()
            self._tell(row, "was paused from outside", "warning")
        elif not frozen and row.frozen_since is not None:
            self._wishes.went_on(row)
            whose = f"been frozen by {row.freeze_by}" if row.freeze_by else "been paused from outside"
            self._tell(row, f"goes on; it had {whose}", "warning" if row.freeze_by else "info")

    def _tell(self, row: RunRow, text: str, level: Level) -> None:
        self._slots.note(row.key, f"{self._clock.utc():%H:%M:%S} UTC: the container {text}")
        self._notices.say(f"{row.run_id}: its container {text}", level, run=row.run_id)
