"""What the server refuses, in words and with a code that a program can read."""

from __future__ import annotations

from gyoza_tui.models.errors import ErrorCode


class ServerError(Exception):
    """A server that cannot start; `str()` says why and what to do."""


class Refused(Exception):
    """A request that is answered with `status` and `{"detail", "code"}`.

    `keep`: what the request changed before it was refused stays (a report that comes too late still frees resources).
    """

    def __init__(self, status: int, code: ErrorCode, detail: str, *, keep: bool = False) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.keep = keep


def run_unknown(run_id: str) -> Refused:
    return Refused(404, ErrorCode.RUN_UNKNOWN, f"there is no run {run_id[:80]!a}")


def worker_unknown(worker_id: str) -> Refused:
    return Refused(404, ErrorCode.WORKER_UNKNOWN, f"worker {worker_id[:80]!a} is not known: beat, then claim")


def not_yours(run_id: str, *, keep: bool = False) -> Refused:
    return Refused(
        409, ErrorCode.NOT_YOURS, f"run {run_id}: that attempt or lease is not (or no longer) yours", keep=keep
    )


def invalid(detail: str) -> Refused:
    return Refused(422, ErrorCode.INVALID, detail)
