"""Why an attempt failed, and whose fault it was."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gyoza_tui.models.wire import Wire


class Reason(StrEnum):
    OP_ERROR = "op_error"
    OOM_KILLED = "oom_killed"
    KILLED = "killed"
    TIMEOUT = "timeout"
    IMAGE_NOT_FOUND = "image_not_found"
    NOT_EXECUTABLE = "not_executable"
    BAD_OUTPUT = "bad_output"
    IMAGE_PULL_FAILED = "image_pull_failed"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    BACKEND_RESTARTED = "backend_restarted"
    DISK_FULL = "disk_full"
    INTERNAL = "internal"
    WORKER_LOST = "worker_lost"


MACHINE_REASONS: Final = frozenset(
    {
        Reason.IMAGE_PULL_FAILED,
        Reason.BACKEND_UNAVAILABLE,
        Reason.BACKEND_RESTARTED,
        Reason.DISK_FULL,
        Reason.INTERNAL,
        Reason.WORKER_LOST,
    }
)
"""The machine's failures: never told as the op's, and retried from the infra budget."""


class Failure(Wire):
    """The payload of FAILED."""

    exit_code: int | None = None
    signal: str | None = None
    """`SIGKILL` and the like, when a signal ended the op."""
    reason: Reason
    message: str
    log_tail: str = ""

    @property
    def words(self) -> str:
        """`oom_killed, exit 137, SIGKILL: words`."""
        parts = [self.reason.value]
        if self.exit_code is not None:
            parts.append(f"exit {self.exit_code}")
        if self.signal:
            parts.append(self.signal)
        return ", ".join(parts) + (f": {self.message}" if self.message else "")
