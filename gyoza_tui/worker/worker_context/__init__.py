"""Who this worker is, what its machine has, and which runs it executes ([ref] names).

`worker_context` is made at first use, from the settings; importing this module reads and detects nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from gyoza_tui.worker.worker_context.types import GPU, Resources, RunningOp, WorkerContext

if TYPE_CHECKING:
    worker_context: WorkerContext

__all__ = ["GPU", "Resources", "RunningOp", "WorkerContext", "detect_resources", "worker_context"]

_lock = threading.Lock()


def detect_resources() -> Resources:
    """The cores, memory and GPUs of this machine, as far as they can be seen."""
    from gyoza_tui.worker.hardware.detect import detect_resources as detect

    return detect()


def _make() -> WorkerContext:
    from gyoza_tui.settings import load

    settings = load()
    return WorkerContext(worker_id=settings.worker_id, resources=detect_resources(), tags=list(settings.tags))


def __getattr__(name: str) -> Any:
    if name != "worker_context":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _lock:
        if name not in globals():
            globals()[name] = _make()
        return globals()[name]
