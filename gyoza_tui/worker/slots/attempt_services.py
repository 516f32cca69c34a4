"""What a worker gives the pipeline for one attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gyoza_tui.backends.base import Label, PullProgress
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import OpRun
from gyoza_tui.settings import Settings
from gyoza_tui.worker.attempt_record import Records
from gyoza_tui.worker.execution_pipeline.services import Channel, Services
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.image_pulls import ImagePulls
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.slots.machine import Machine
from gyoza_tui.worker.state_dir.state_dir import StateDir


class AttemptServices:
    """Makes the services of each run of the pipeline: they write to the journal, the outbox and a spool."""

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        records: Records,
        machine: Machine,
        pulls: ImagePulls,
        state_dir: StateDir,
        identity: Identity,
        settings: Settings,
        channel: Channel,
        on_thaw: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._notices = notices
        self._records = records
        self._machine = machine
        self._pulls = pulls
        self._state_dir = state_dir
        self._identity = identity
        self._channel = channel
        self._on_thaw = on_thaw
        self._log_max = settings.log_max_mb * MIB
        self._stop_grace_s = settings.stop_grace_s

    def open(self, row: RunRow, *, filled_disk: Callable[[], str], on_pull: Callable[[PullProgress], None]) -> Services:
        """With an open spool, which the caller closes."""
        wake = threading.Event()
        return Services(
            backend=self._machine.backend(row),
            record=self._records.of(row, wake),
            pulls=self._pulls,
            spool=LogSpool(self._state_dir.log_path(row.run_id, row.attempt, row.lease), self._log_max),
            place=self._state_dir,
            clock=self._clock,
            labels=self._labels(row),
            stop_grace_s=self._stop_grace_s,
            gpu=self._machine.gpu(row),
            channel=self._channel,
            machine_fault=lambda: self._machine.fault(row),
            keep_logs=False,
            wake=wake,
            waits_for_room=True,
            filled_disk=filled_disk,
            on_pull=on_pull,
            on_thaw=self._on_thaw,
            warn=lambda words: self._notices.say(f"{row.run_id}: {words}", "warning", run=row.run_id),
        )

    def _labels(self, row: RunRow) -> dict[str, str]:
        """What containers of this attempt carry."""
        return {
            **self._identity.labels,
            Label.SERVER: row.server_id,
            Label.RUN: row.run_id,
            Label.ATTEMPT: str(row.attempt),
            Label.LEASE: row.lease or "",
        }


def context_of(run: OpRun, services: Services) -> ExecutionContext:
    """What the steps share while that run is worked on."""
    return ExecutionContext(
        oprun_id=run.id,
        image=run.image,
        constraints=run.constraints.model_dump(exclude_none=True),
        inputs=dict(run.inputs),
        volumes=dict(run.volumes),
        services=services,
    )
