"""Run container step - executes container and streams logs."""

from __future__ import annotations

import math
from pathlib import Path

from gyoza_tui.backends.base import AttemptPhase, Exit, Handle, Output, Spec, VanishedHandle
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.limits import CTX_LOGS_MAX, MIB
from gyoza_tui.worker.execution_pipeline.freezing import Freezing
from gyoza_tui.worker.execution_pipeline.log_pump import LogPump
from gyoza_tui.worker.execution_pipeline.machine_faults import machine_faults_given_back
from gyoza_tui.worker.execution_pipeline.op_files import input_files
from gyoza_tui.worker.execution_pipeline.services import ENGINE_PATIENCE_S, Services, services_of
from gyoza_tui.worker.execution_pipeline.time_limit import TimeLimit
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.journal import frozen_time

_WAIT_SLICE_S = 30.0
_GONE = "the container is gone: the engine was restarted, or somebody removed it"


class RunContainer:
    """Run the container and stream logs.

    The output is attached before the start, spooled as it comes, and lines that are gyoza events go to the outbox.
    After a restart of the worker the same container is waited for, and its output taken up where the spool ends.
    """

    def __call__(self, ctx: ExecutionContext) -> ExecutionContext:
        services = services_of(ctx)
        if services.record.row.exit is None:
            services.check_intent()
            end = _started(ctx, services)
            row, now = services.record.row, services.clock.utc().timestamp()
            thawed = frozen_time.thawed(row, now)
            services.record.update(exit=end, filled_disk=services.filled_disk() or row.filled_disk, **thawed)
        ended = services.record.row.exit
        assert ended is not None
        if ended.warning:
            services.warn(ended.warning)
        ctx.exit_code = ended.code
        ctx.extras["log_path"] = str(services.spool.path)
        if services.keep_logs:
            ctx.logs = _logs(services)
        return ctx


def _started(ctx: ExecutionContext, services: Services) -> Exit:
    with machine_faults_given_back(services):
        handle, fresh = _created(ctx, services)
    pump = LogPump(
        services.backend,
        handle,
        services.spool,
        services.clock,
        parsed=services.record.row.parsed,
        tell=services.record.events,
        warn=services.warn,
        wake=services.wake,
    )
    if not fresh:
        # for as long as it takes: to give up would stop it when the engine is back
        state = services.patiently("container", lambda: services.backend.state(handle), math.inf)
        if state is AttemptPhase.GONE:
            raise VanishedHandle(_GONE)
        handle = _renewed(services, handle)
        fresh = state is AttemptPhase.CREATED
    pump.go(_opened(services, pump, handle, fresh=fresh))
    services.pump = pump
    return _waited(services, pump, Freezing(services, pump, handle))


def _created(ctx: ExecutionContext, services: Services) -> tuple[Handle, bool]:
    """The attempt's container, made now or before a restart, and whether it was surely never started.

    A start that was asked for is never repeated on another container.
    """
    row = services.record.row
    backend = services.backend
    made = row.handle
    if made is not None and row.start_asked:
        return made, False
    there = made is not None and services.patiently("made", lambda: backend.state(made)) is not AttemptPhase.GONE
    handle = made if made is not None and there else _made(ctx, services)
    # once more after a restart: the worker may have ended between the container and its inputs
    services.patiently("inputs", lambda: backend.put(handle, input_files(ctx.inputs)))
    return handle, True


def _renewed(services: Services, handle: Handle) -> Handle:
    renewed = services.patiently("container", lambda: services.backend.renewed(handle), patience_s=math.inf)
    if renewed != handle:
        services.record.update(handle=renewed)
    return renewed


def _made(ctx: ExecutionContext, services: Services) -> Handle:
    row = services.record.row
    spec = Spec(
        name=row.name,
        image=ImageRef.parse(ctx.image).name,
        run_dir=Path(ctx.extras["gyoza_dir"]),
        command=tuple(row.run.command) if row.run.command is not None else None,
        env={**row.run.env, **row.run.secret_env, **ctx.env_vars},
        labels=services.labels,
        constraints=Constraints.model_validate(ctx.constraints),
        gpu=services.gpu,
        volumes=ctx.volumes,
    )
    services.record.update(create_asked=True)
    handle = services.patiently("create", lambda: services.backend.create(spec))
    services.record.update(handle=handle)
    return handle


def _opened(services: Services, pump: LogPump, handle: Handle, *, fresh: bool) -> Output:
    """The open output of the container, which has been started."""
    if fresh:
        output = _opened_and_started(services, pump, handle)
    else:
        output = services.patiently("output", lambda: pump.open(fresh=False), math.inf)
    if services.record.row.started_at is not None:
        return output
    # just started, or the worker ended just after the start
    try:
        services.patiently("verify", lambda: services.backend.verify(handle), math.inf)
        if fresh:
            started_at: float | None = services.clock.utc().timestamp()
        else:
            started_at = services.patiently("started", lambda: services.backend.started_at(handle), math.inf)
    except BaseException:
        output.close()
        raise
    services.record.update(started_at=started_at)
    return output


def _opened_and_started(services: Services, pump: LogPump, handle: Handle) -> Output:
    """An engine that does not answer may have started it: that is waited for, however long."""
    with machine_faults_given_back(services):
        output = services.patiently("output", lambda: pump.open(fresh=True))
        try:
            services.check_intent()
            services.record.update(start_asked=True)
            services.patiently("start", lambda: services.backend.start(handle), math.inf, ENGINE_PATIENCE_S)
        except BaseException:
            output.close()
            raise
    return output


def _waited(services: Services, pump: LogPump, freezing: Freezing) -> Exit:
    """Wait for the end, an intent, or the run's time to be over."""
    limit = TimeLimit(services.record, services.clock)
    while not pump.ended:
        services.check_intent()
        if limit.left_s <= 0:
            limit.lift()
            services.record.update(timed_out=True)
            services.stop_attempt()
        again_s = freezing.act()
        services.listen()  # which may have failed, as on a full disk, while the op waits
        services.clock.wait(services.wake, min(_WAIT_SLICE_S, limit.left_s, again_s))
        services.wake.clear()
    if pump.error is not None:
        raise pump.error
    if not isinstance(pump.state, Exit):
        raise VanishedHandle(_GONE)
    return pump.state


def _logs(services: Services) -> str:
    """The whole output, or its head and tail round a marked cut."""
    size = services.spool.bytes
    if size <= CTX_LOGS_MAX:
        return b"".join(services.spool.raw()).decode(errors="replace")
    half = CTX_LOGS_MAX // 2
    head = bytearray()
    for piece in services.spool.raw():
        head += piece
        if len(head) >= half:
            break
    cut = f"\n… {(size - CTX_LOGS_MAX) / MIB:.1f} MiB cut here …\n"
    return head[:half].decode(errors="replace") + cut + services.spool.tail(half).decode(errors="replace")
