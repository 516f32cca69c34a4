"""Compare what should be with what is: backends, engine, history, and a server that says little by itself."""

from __future__ import annotations

from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.freeze_reports import FreezeReports
from gyoza_tui.worker.duties.frozen_runs import FrozenRuns
from gyoza_tui.worker.duties.orphaned_containers import OrphanedContainers
from gyoza_tui.worker.duties.retention import Retention
from gyoza_tui.worker.duties.run_states import RunStates
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.wakes import Wakes

INTERVAL_S: Final = 5.0
_PROBE_PAUSE_S: Final = 0.1


class Reconcile(Duty):
    name = "reconcile"
    first_s = 1.0
    """For the first beat: an engine's library takes longer to load than the worker to be heard of."""

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        wakes: Wakes,
        pool: BackendPool,
        slots: Slots,
        orphaned: OrphanedContainers,
        retention: Retention,
        frozen_runs: FrozenRuns,
        freeze_reports: FreezeReports,
        run_states: RunStates,
    ) -> None:
        super().__init__(clock, notices, wakes.reconcile)
        self._wakes = wakes
        self._pool = pool
        self._slots = slots
        self._orphaned = orphaned
        self._retention = retention
        self._frozen_runs = frozen_runs
        self._freeze_reports = freeze_reports
        self._run_states = run_states

    def tick(self) -> float:
        self._slots.start_what_waits()
        if self._pool.check():
            self._wakes.beat.set()
            self._wakes.claim.set()
        for name in self._pool.answering:
            if self._orphaned.due(name):
                self._orphaned.remove(self._pool[name])
                self._retention.prune()
            self._frozen_runs.look(self._pool[name])
        self._freeze_reports.send()
        ask_again_s = self._run_states.ask()
        if ask_again_s is not None:
            return min(INTERVAL_S, ask_again_s)
        return min(INTERVAL_S, max(_PROBE_PAUSE_S, self._pool.next_probe_s()))

    def sweep_now(self) -> None:
        """Before the first claim with a new journal: containers that it does not know are given back."""
        for _, backend in self._pool.items():
            self._orphaned.remove(backend)
