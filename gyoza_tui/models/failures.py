"""Why an attempt failed, and whose fault it was."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gyoza_tui.models.ansi import without_escapes
from gyoza_tui.models.text import visible
from gyoza_tui.models.wire import Wire

_LINE_MAX: Final = 200


class FailureReason(StrEnum):
    OP_ERROR = "op_error"
    OOM_KILLED = "oom_killed"
    KILLED = "killed"
    TIMEOUT = "timeout"
    IMAGE_NOT_FOUND = "image_not_found"
    NOT_EXECUTABLE = "not_executable"
    FILLED_DISK = "filled_disk"
    """It wrote until a disk of this machine had no room; on any other machine it would as well."""
    BAD_OUTPUT = "bad_output"
    IMAGE_PULL_FAILED = "image_pull_failed"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    BACKEND_RESTARTED = "backend_restarted"
    DISK_FULL = "disk_full"
    INTERNAL = "internal"
    WORKER_LOST = "worker_lost"


MACHINE_REASONS: Final = frozenset(
    {
        FailureReason.IMAGE_PULL_FAILED,
        FailureReason.BACKEND_UNAVAILABLE,
        FailureReason.BACKEND_RESTARTED,
        FailureReason.DISK_FULL,
        FailureReason.INTERNAL,
        FailureReason.WORKER_LOST,
    }
)
"""The machine's failures: never told as the op's, and retried from the infra budget."""


def plain_end(exit_code: int | None, signal: str | None) -> str:
    """The message where nothing is known but that."""
    return "the op ended " + (f"by {signal}" if signal else f"with exit code {exit_code}")


def last_line(text: str) -> str:
    """The last one that says something; of a progress bar, what it last showed."""
    lines = reversed(without_escapes(text).splitlines())
    return next((line for each in lines if (line := each.strip())), "")


class Failure(Wire):
    """The payload of FAILED."""

    exit_code: int | None = None
    signal: str | None = None
    """`SIGKILL` and the like, when a signal ended the op."""
    reason: FailureReason
    message: str
    log_tail: str = ""
    """The end of the output as it arrived: lines of stdout and stderr may have changed places."""
    error_line: str = ""
    """The last line of stderr that says something, or of stdout where none does; empty from an older worker."""

    @property
    def words(self) -> str:
        """`oom_killed, exit 137, SIGKILL: words`; the message is left out where it says no more than that."""
        parts = [self.reason.value]
        if self.exit_code is not None:
            parts.append(f"exit {self.exit_code}")
        if self.signal:
            parts.append(self.signal)
        said = self.message == plain_end(self.exit_code, self.signal)
        return ", ".join(parts) + (f": {self.message}" if self.message and not said else "")

    @property
    def last_line(self) -> str:
        """What the op said last of its failure, for a person."""
        return visible(last_line(self.error_line or self.log_tail))[:_LINE_MAX]

    def cause(self, last_error: object) -> str:
        """What the op itself said of it: its last ERROR, or else its last line. Empty where the reason says it all."""
        if self.reason is not FailureReason.OP_ERROR:
            return ""
        return self.last_line if last_error is None else visible(last_error)[:_LINE_MAX]
