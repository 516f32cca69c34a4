"""What a beat tells of this worker."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime

from gyoza_tui import __version__
from gyoza_tui.models.limits import TROUBLE_WORDS_MAX
from gyoza_tui.models.nested import Waiting
from gyoza_tui.models.workers import PROTOCOL, Feature, HeartbeatRequest, RunningOpReport, WorkerState
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.capacity import Capacity
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.wanted_state import WantedState
from gyoza_tui.worker.worker_context.types import WorkerContext


class Presence:
    """Makes the beats, numbered. Reads only memory."""

    def __init__(
        self,
        identity: Identity,
        context: WorkerContext,
        capacity: Capacity,
        admission: Admission,
        pool: BackendPool,
        mode: ClaimingMode,
        wanted: WantedState,
        away_s: float,
    ) -> None:
        self._identity = identity
        self._context = context
        self._capacity = capacity
        self._admission = admission
        self._pool = pool
        self._mode = mode
        self._wanted = wanted
        self._away_s = away_s
        self._beat = 0

    def leave(self) -> None:
        """From now on it tells that this worker is away."""
        self._mode.leave()

    def request(self, rows: Sequence[RunRow], *, with_inputs: bool) -> HeartbeatRequest:
        """The next beat, which lists these rows."""
        self._beat += 1
        return HeartbeatRequest(
            worker_id=self._identity.worker_id,
            resources=self._admission.report,
            tags=list(self._context.tags),
            running_ops=[_report(row, with_inputs=with_inputs) for row in rows],
            instance_id=self._identity.instance_id,
            epoch=self._identity.epoch,
            beat=self._beat,
            state=self._mode.state,
            version=__version__,
            protocol=PROTOCOL,
            hostname=socket.gethostname(),
            max_runs=self._capacity.max_runs,
            free_slots=self._capacity.wanted,
            backends=self._pool.available,
            ops=self._pool.ops,
            trouble={name: words[:TROUBLE_WORDS_MAX] for name, words in self._pool.troubles.items()},
            features=list(Feature),
            wanted=self._wanted.report,
            away_s=self._away_s if self._mode.state is WorkerState.AWAY else None,
        )


def _report(row: RunRow, *, with_inputs: bool) -> RunningOpReport:
    return RunningOpReport(
        id=row.run_id,
        image=row.run.image,
        inputs=row.run.inputs if with_inputs else None,
        constraints=row.run.constraints,
        attempt=row.attempt,
        lease=row.lease,
        phase=row.step or "claimed",
        waiting=_waiting(row),
        frozen=None if row.frozen_since is None else datetime.fromtimestamp(row.frozen_since, UTC),
    )


def _waiting(row: RunRow) -> Waiting | None:
    """Also of one that has ended while it waited: it did not go on."""
    if row.waiting_since is None:
        return None
    return Waiting(left=row.waits_left, of=row.waits_of, since=datetime.fromtimestamp(row.waiting_since, UTC))
