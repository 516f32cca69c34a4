"""Pipeline implementation."""

from __future__ import annotations

from collections.abc import Sequence

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, DiskFull
from gyoza_tui.models.failures import Failure, FailureReason
from gyoza_tui.worker import endings
from gyoza_tui.worker.execution_pipeline.services import Services, services_of
from gyoza_tui.worker.execution_pipeline.superseded import RunSuperseded
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.execution_pipeline.types.step import Step, runs_always, step_name
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.op_output.redaction import redacted


class StepExited(Exception):
    """A step called `sys.exit`: it ends the run, not the thread that has more to do for it."""

    def __init__(self, step: str) -> None:
        super().__init__(f"the step {step} called exit")


class Pipeline:
    """A sequence of steps executed in order.

    What has started does not fail because a disk of this machine is full: the error is raised, nothing is ended.

    Running it again for the same attempt goes on where the last time broke off: each step recognises its own finished
    work in the record. There is no other way to resume.
    """

    def __init__(self, steps: Sequence[Step] | None = None) -> None:
        if steps is None:
            from gyoza_tui.worker.execution_pipeline.steps import default_steps

            steps = default_steps()
        self.steps = list(steps)

    def run(self, ctx: ExecutionContext | None = None) -> ExecutionContext:
        """Execute all steps. One that raises marks the run FAILED, and the exception is raised again.

        Steps marked `always` run whatever happened before them, after the end is on record. Steps that need neither a
        backend nor the server run without services: those are made when a step asks for them, or for a run to fail.
        AttemptElsewhere is no end: it is raised at once, and the pipeline is to be run again when its engine is back.
        """
        ctx = ctx or ExecutionContext()
        error: Exception | None = None
        # after a restart: what is reported already is not done again
        ended = ctx.services is not None and ctx.services.record.row.outcome is not None
        for step in self.steps:
            if ended and not runs_always(step):
                continue
            try:
                if ctx.services is not None:
                    ctx.services.record.begin_step(step_name(step))
                ctx = step(ctx)
            except RunSuperseded as quiet:
                ended = True
                _end_quietly(services_of(ctx), quiet)
            except AttemptElsewhere:
                raise
            except (Exception, SystemExit) as loud:
                failed = StepExited(step_name(step)) if isinstance(loud, SystemExit) else loud
                if ctx.services is not None and ctx.services.lacks_room(failed):
                    raise failed from None
                ended, error = True, error or failed
                if ctx.services is not None or ctx.oprun_id:
                    _end_failed(services_of(ctx), failed)
        if error is not None:
            raise error
        return ctx


def _end_quietly(services: Services, superseded: RunSuperseded) -> None:
    """What runs is stopped before anything is told. Out of reach, it is only given up where another start of the run
    does not follow from that."""
    note = superseded.note
    try:
        services.stop_attempt()
    except AttemptElsewhere as error:
        if superseded.intent is Intent.RELEASE:
            raise
        note = f"{note}; not stopped, it may go on: {error}"
        services.warn(f"{note}. If the worker is pointed back there, it stops what is left")
    endings.superseded(services.record.finish, superseded.intent, note)


def _end_failed(services: Services, error: Exception) -> None:
    """What was stopped for this has no other end; else the steps are tried again when this one cannot be put down."""
    stopped = services.stop_attempt()
    told = DiskFull.of(error, services.spool.path) or error
    message = redacted(_message(told), services.record.row.run.secret_env.values())
    failure = Failure(reason=_reason(told), message=message[:2000])
    endings.failed(services.finish if stopped else services.record.finish, failure, failure.message)


def _reason(error: Exception) -> FailureReason:
    return error.reason if isinstance(error, BackendError) else FailureReason.INTERNAL


def _message(error: Exception) -> str:
    return str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"
