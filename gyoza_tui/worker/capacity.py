"""How many more runs this worker may take now."""

from __future__ import annotations

from collections.abc import Callable

from gyoza_tui.models.limits import RUNS_LISTED_MAX, RUNS_PER_CLAIM_MAX
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.server_link import ServerLink


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
    ) -> None:
        """`taken`: the slots that no claim can count on."""
        self._admission = admission
        self._journal = journal
        self._taken = taken
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
    def wanted(self) -> int:
        """How many runs a claim may answer now."""
        if self._mode.refusal or not self._link.lease_holds or not self._pool.available:
            return 0
        # what is not delivered yet is listed in every beat and claim
        listed = self._journal.memory.rows(self._link.state.answering)
        return max(0, min(self.free_slots, RUNS_LISTED_MAX - RUNS_PER_CLAIM_MAX - len(listed)))
