"""Draws the snapshot out of what is in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.capacity import Capacity
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.duty_status import DutyStatus
from gyoza_tui.worker.duties.unplaced_children import UnplacedChildren
from gyoza_tui.worker.foreign_memory import ForeignMemory
from gyoza_tui.worker.hardware.sampler import History
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.view.check import Check
from gyoza_tui.worker.view.checks import checklist
from gyoza_tui.worker.view.run_views import RunViews
from gyoza_tui.worker.view.snapshot import Failures, Snapshot, Tally


class SnapshotBuilder:
    """The snapshot shows all of a worker, so all is given to it; it only reads, and touches no disk."""

    def __init__(
        self,
        *,
        worker_id: str,
        clock: Clock,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        mode: ClaimingMode,
        capacity: Capacity,
        pool: BackendPool,
        history: History,
        foreign: ForeignMemory,
        unplaced: UnplacedChildren,
        duties: Sequence[Duty],
        views: RunViews,
    ) -> None:
        self._worker_id = worker_id
        self._clock = clock
        self._client = client
        self._link = link
        self._journal = journal
        self._mode = mode
        self._capacity = capacity
        self._pool = pool
        self._history = history
        self._foreign = foreign
        self._unplaced = unplaced
        self._duties = duties
        self._views = views
        self._versions = itertools.count(1)

    def snapshot(self) -> Snapshot:
        link, mode, memory = self._link.state, self._mode, self._journal.memory
        runs = self._views.every()
        outcomes, unseen = memory.outcomes, memory.unseen
        return Snapshot(
            version=next(self._versions),
            taken_at=self._clock.boot(),
            utc=self._clock.utc().timestamp(),
            worker_id=self._worker_id,
            state=mode.state,
            refusal=mode.refusal,
            max_runs=self._capacity.max_runs,
            free_slots=self._capacity.free_slots,
            server_url=self._client.base_url,
            link=link,
            next_try_s=self._link.next_try_s,
            backends=self._pool.trouble,
            gpu_trouble=self._pool.gpu_trouble,
            foreign=self._foreign.now,
            unplaced=self._unplaced.now,
            to_deliver=self._journal.waiting,
            runs=runs,
            duties=self.duties(),
            hardware=self._history.latest(),
            disk=mode.disk,
            disk_free_mb=mode.disk_free_mb,
            disk_warning=mode.disk_warning,
            tally=_tally(outcomes),
            failures=Failures(unseen.number, unseen.since),
            history_version=memory.version,
            wanted=mode.wanted if mode.wanted is not None and mode.wanted.state is mode.state else None,
            down_since=link.down_since,
        )

    def checks(self) -> tuple[Check, ...]:
        return checklist(self.snapshot(), own_ops=bool(self._pool.ops))

    def duties(self) -> tuple[DutyStatus, ...]:
        return tuple(duty.status for duty in self._duties)

    def samples(self) -> tuple[HardwareSample, ...]:
        return self._history.samples()


def _tally(outcomes: Mapping[Outcome, int]) -> Tally:
    of = outcomes.get
    return Tally(
        completed=of(Outcome.COMPLETED, 0),
        failed=of(Outcome.FAILED, 0),
        cancelled=of(Outcome.CANCELLED, 0),
        other=of(Outcome.RELEASED, 0) + of(Outcome.LOST, 0),
    )
