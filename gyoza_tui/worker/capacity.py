"""How many more runs this worker may take now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gyoza_tui.models.limits import RUNS_LISTED_MAX, RUNS_PER_CLAIM_MAX
from gyoza_tui.models.workers import Children, Feature, WorkerState
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.server_link import ServerLink

_WAITING_PER_SLOT: Final = 4


class Capacity:
    """Counted from the journal at each question."""

    def __init__(
        self,
        admission: Admission,
        journal: Journal,
        link: ServerLink,
        mode: ClaimingMode,
        pool: BackendPool,
        taken: Callable[[], int],
        waiting_max: int,
    ) -> None:
        """`taken`: the slots that no claim can count on. `waiting_max`: see `Settings.waiting_max`."""
        self._admission = admission
        self._journal = journal
        self._taken = taken
        self._waiting_max = waiting_max
        self._link = link
        self._mode = mode
        self._pool = pool

    @property
    def max_runs(self) -> int:
        return self._admission.max_runs

    @property
    def free_slots(self) -> int:
        return max(0, self.max_runs - self._taken())

    @property
    def has_parents(self) -> bool:
        """Whether runs here wait for others, at a server that knows which those are."""
        return Feature.WAITING in self._link.state.features and self._waiting > 0

    @property
    def children(self) -> Children | None:
        """To which runs a claim is limited: a drain takes what the runs here wait for, so that it ends.

        Runs that wait are limited by what is claimed, never by keeping their slots: that would lock longer chains.
        """
        if not self.has_parents:
            return None
        if self._mode.state is WorkerState.DRAINING:
            return Children.MINE
        limit = self._waiting_max or _WAITING_PER_SLOT * self.max_runs
        return Children.ANY if self._waiting >= limit else None

    @property
    def wanted(self) -> int:
        """How many runs a claim may answer now."""
        refusal = self._mode.refusal_of(self.children)
        if refusal or not self._link.lease_holds or not self._pool.available:
            return 0
        # what is not delivered yet is listed in every beat and claim
        listed = self._journal.memory.rows(self._link.state.answering)
        return max(0, min(self.free_slots, RUNS_LISTED_MAX - RUNS_PER_CLAIM_MAX - len(listed)))

    @property
    def _waiting(self) -> int:
        return sum(row.waits and row.intent is Intent.NONE for row in self._journal.active())
