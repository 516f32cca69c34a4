"""What a worker gives the pipeline for one attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gyoza_tui.backends.base import Label, PullProgress
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.attempt_record import AttemptRecord
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.probes import Subject
from gyoza_tui.worker.runtime import Runtime


def attempt_services(
    runtime: Runtime,
    row: RunRow,
    spool: LogSpool,
    *,
    filled_disk: Callable[[], str],
    on_pull: Callable[[PullProgress], None],
) -> Services:
    """The services of one run of the pipeline: they write to the journal, the outbox and the spool."""
    wake = threading.Event()
    return Services(
        backend=runtime.pool[row.backend],
        record=AttemptRecord(runtime, row, wake),
        pulls=runtime.pulls,
        spool=spool,
        place=runtime.state_dir,
        clock=runtime.clock,
        labels=_labels(runtime, row),
        stop_grace_s=runtime.settings.stop_grace_s,
        gpu=runtime.admission.gpu_of(row.run.constraints),
        machine_fault=lambda: _machine_fault(runtime, row),
        keep_logs=False,
        wake=wake,
        waits_for_room=True,
        filled_disk=filled_disk,
        on_pull=on_pull,
        warn=lambda words: runtime.notices.say(f"{row.run_id}: {words}", "warning", run=row.run_id),
    )


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


def _machine_fault(runtime: Runtime, row: RunRow) -> str | None:
    gpu = runtime.admission.gpu_of(row.run.constraints)
    why = runtime.pool.fault(row.backend, Subject(ImageRef.parse(row.run.image).name, gpu))
    if why is not None:
        for wake in (runtime.wakes.beat, runtime.wakes.claim, runtime.wakes.reconcile):
            wake.set()
    return why


def _labels(runtime: Runtime, row: RunRow) -> dict[str, str]:
    """What containers of this attempt carry."""
    return {
        Label.WORKER: runtime.context.worker_id,
        Label.INSTANCE: runtime.state_dir.instance_id,
        Label.SERVER: row.server_id,
        Label.RUN: row.run_id,
        Label.ATTEMPT: str(row.attempt),
        Label.LEASE: row.lease or "",
    }
