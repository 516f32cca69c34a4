"""The worker: everything that runs without a terminal and without a web framework.

Provides the heartbeat and claim loop, the execution pipeline, and the worker context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
    from gyoza_tui.worker.runner import start
    from gyoza_tui.worker.worker_context.types import WorkerContext

__all__ = ["ExecutionContext", "WorkerContext", "start"]


def __getattr__(name: str) -> Any:
    """Loaded at first use: a script that wants the context alone pays for nothing else."""
    if name == "ExecutionContext":
        from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext

        return ExecutionContext
    if name == "WorkerContext":
        from gyoza_tui.worker.worker_context.types import WorkerContext

        return WorkerContext
    if name == "start":
        from gyoza_tui.worker.runner import start

        return start
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
