"""Start OpRun step - sends STARTED event to master."""

from __future__ import annotations

from gyoza_tui.worker.execution_pipeline.services import services_of
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext


def start_oprun(ctx: ExecutionContext) -> ExecutionContext:
    """Send STARTED event to the master API, and wait for its answer: is the run still ours?

    Nothing is told twice: after a restart the answer is in the record.
    """
    services = services_of(ctx)
    services.check_intent()
    if not services.record.row.started_acked:
        services.record.started()
    return ctx
