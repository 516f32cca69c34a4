"""Who wants which run frozen: the server, a person here, or whoever has let a container go on from outside."""

from __future__ import annotations

from typing import Any

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.journal import frozen_time
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots.gate import Gate
from gyoza_tui.worker.slots.slots import Slots
from gyoza_tui.worker.wakes import Wakes


class FreezeWishes:
    """The last one counts. Each is journaled, then the thread of the run acts on it. Thread-safe."""

    def __init__(
        self, clock: Clock, notices: Notices, journal: Journal, gate: Gate, slots: Slots, wakes: Wakes
    ) -> None:
        self._clock = clock
        self._notices = notices
        self._journal = journal
        self._gate = gate
        self._slots = slots
        self._wakes = wakes

    def hear(self, row: RunRow, by: str, *, frozen: bool) -> None:
        """What the server wants now. It says so with every beat, and is obeyed when it is not the same as before."""
        if frozen != row.server_wants_frozen:
            self._want(row, by, frozen=frozen, server_wants_frozen=frozen, freeze_untold=False)

    def ask(self, row: RunRow, by: str, *, frozen: bool) -> None:
        """What a person here wants; the server is told when it can be."""
        self._want(row, by, frozen=frozen, freeze_untold=frozen != row.server_wants_frozen)
        self._wakes.reconcile.set()

    def went_on(self, row: RunRow) -> None:
        """Somebody let its container go on from outside: it is not frozen again."""
        changes = frozen_time.thawed(row, self._clock.utc().timestamp())
        self._journal.update(row.key, **changes, freeze_by="", freeze_untold=row.server_wants_frozen)
        self._slots.wake(row.key)
        self._gate.look()
        self._wakes.beat.set()

    def told(self, row: RunRow) -> None:
        """The server knows what is wanted of that run, or refuses to. An answer that is on its way may not know it."""
        now = self._journal.get(row.key)
        if now is not None and now.freeze_by == row.freeze_by:
            self._journal.update(row.key, freeze_untold=False)

    def _want(self, row: RunRow, by: str, *, frozen: bool, **heard: Any) -> None:
        if row.outcome is not None or row.exit is not None:
            return
        changes = {"freeze_by": by if frozen else "", "thaw_asked": not frozen and row.frozen}
        self._journal.update(row.key, **changes, **heard)
        if frozen or row.frozen:
            words = f"{row.run_id}: {by} wants it frozen" if frozen else f"{row.run_id}: {by} lets it go on"
            self._notices.say(words, run=row.run_id)
        self._slots.wake(row.key)
