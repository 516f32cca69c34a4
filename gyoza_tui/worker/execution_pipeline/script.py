"""Services for a plain script that runs the pipeline without a worker."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

import httpx

from gyoza_tui.backends.base import Label
from gyoza_tui.backends.registry import BACKENDS
from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, meaning, words
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.images import DOCKER, ImageRef
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import Event, EventReport, OpRun
from gyoza_tui.models.states import EVENT_STATE, EventType, RunState
from gyoza_tui.server_access import client_of
from gyoza_tui.settings import Settings, load
from gyoza_tui.worker.building import backend_options, image_pulls
from gyoza_tui.worker.execution_pipeline import script_home
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.execution_pipeline.superseded import RunSuperseded
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.op_output.redaction import redacted_report
from gyoza_tui.worker.state_dir.owner import Owner
from gyoza_tui.worker.state_dir.state_dir import RunDirs, attempt_name

log = logging.getLogger("gyoza_tui")


class ScriptRecord:
    """In memory; what it is told goes to the server directly, and to nobody when there is none."""

    def __init__(self, row: RunRow, client: GyozaClient | None, worker_id: str) -> None:
        self.row = row
        self._client = client
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self.timeline: list[Event] = []
        """What it was told, as a server keeps it."""

    def update(self, **changes: object) -> None:
        with self._lock:
            self.row = self.row.with_(**changes)

    def begin_step(self, step: str) -> None:
        self.update(step=step)

    def started(self) -> None:
        self._send(EventReport(type=EventType.STARTED, msg="started"))
        self.update(started_acked=True)

    def events(self, reports: Iterable[EventReport], parsed: int | None = None) -> None:
        for report in reports:
            self._send(report)

    def finish(self, outcome: Outcome, note: str, report: EventReport | None) -> None:
        if self.row.outcome is None:
            self.update(outcome=outcome, outcome_note=note)
            if report is not None:
                self._send(report)

    def _send(self, report: EventReport) -> None:
        """A server that cannot be reached, or does not know the run, is done without from then on."""
        report = redacted_report(report, self.row.run.secret_env.values())
        self._note(report)
        if self._client is None:
            return
        try:
            self._client.add_event(self.row.run_id, report.type, report.msg, report.payload, worker_id=self._worker_id)
        except httpx.HTTPError as error:
            if meaning(error) is Meaning.REFUSED:
                if report.type is EventType.STARTED:
                    raise RunSuperseded(Intent.LOST, words(error)) from None
                return
            log.warning("no server at %s (%s): running without it", self._client.base_url, words(error))
            self._client = None

    def _note(self, report: EventReport) -> None:
        before = self.timeline[-1].state if self.timeline else RunState.ASSIGNED
        self.timeline.append(
            Event(
                id=len(self.timeline),
                type=report.type,
                t=datetime.now(UTC),
                msg=report.msg,
                payload=report.payload,
                state=EVENT_STATE.get(report.type, before),
            )
        )


def script_services(ctx: ExecutionContext) -> Services:
    """Services from the settings, and the server that they name, if the run is one of a server."""
    settings = load()
    run = OpRun(
        id=ctx.oprun_id,
        image=ctx.image,
        inputs=ctx.inputs,
        constraints=Constraints.model_validate(ctx.constraints),
        env=dict(ctx.env_vars),
        attempt=1,
    )
    client = client_of(settings) if ctx.oprun_id else None
    return services_for(run, settings, client)


def services_for(run: OpRun, settings: Settings, client: GyozaClient | None) -> Services:
    """Of one attempt without a journal. Files lie in a temporary directory that ends with the process.

    Raises ValueError in words for an image's name or an owner's file that cannot be used.
    """
    backend = ImageRef.parse(run.image).backend if run.image else DOCKER
    root = script_home.make()
    instance = str(uuid.uuid4())
    name = attempt_name(run.id or "script", 1, instance)
    row = RunRow(key=0, server_id="", run=run, name=name, backend=backend, claimed_at=0.0)
    clock = SystemClock()
    return Services(
        backend=BACKENDS[backend](backend_options(settings, root, instance)),
        record=ScriptRecord(row, client, settings.worker_id),
        pulls=image_pulls(settings, clock),
        spool=LogSpool(root / "output.log", settings.log_max_mb * MIB),
        place=RunDirs(root),
        clock=clock,
        labels=_labels(settings, instance, row),
        stop_grace_s=settings.stop_grace_s,
        gpu=_gpu(run.constraints),
    )


def _labels(settings: Settings, instance: str, row: RunRow) -> dict[str, str]:
    return {
        Label.WORKER: settings.worker_id,
        Label.INSTANCE: instance,
        Label.RUN: row.run_id,
        Label.ATTEMPT: "1",
        Label.LEASE: instance,
        Label.OWNER: str(Owner.this_process()),
    }


def _gpu(constraints: Constraints) -> GpuInfo | None:
    index = constraints.gpu_id
    return None if index is None else GpuInfo(index=index, uuid=None, name=None, memory_total_mb=None)
