"""Cleanup step - removes the container and the op's directory."""

from __future__ import annotations

from gyoza_tui.worker.execution_pipeline.services import services_of
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.execution_pipeline.types.step import always

_LAST_OUTPUT_S = 5.0
"""For what a stopped op said at last."""


@always
def cleanup_op_dir(ctx: ExecutionContext) -> ExecutionContext:
    """Delete the op directory created by prepare_inputs, and the container with all that the backend made for it.

    Runs whatever happened, after the end is on record: nothing is lost with what is removed.
    """
    services = services_of(ctx)
    row = services.record.row
    if services.pump is not None:
        services.pump.join(_LAST_OUTPUT_S)
    services.spool.flush()
    if services.channel is not None:
        services.channel.close(row.key)
    if row.create_asked:
        services.remove_attempt()
    try:
        services.place.remove_run_dir(row.name)
    except OSError as error:
        # a mount in it, an immutable file: that must not keep the slot, and the worker's sweep tries again
        services.warn(f"its directory cannot be removed: {error}")
    services.record.update(cleaned=True)
    return ctx
