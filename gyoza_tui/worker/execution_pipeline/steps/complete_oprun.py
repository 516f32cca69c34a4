"""Complete OpRun step - tells the server how the run ended."""

from __future__ import annotations

import math
from typing import Final

from gyoza_tui.backends.base import Exit, FileRefused, Stream
from gyoza_tui.models.failures import Failure, FailureReason, last_line, plain_end
from gyoza_tui.models.limits import LOG_TAIL_MAX, OUTPUT_FILE_MAX
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker import endings
from gyoza_tui.worker.execution_pipeline.op_files import OUTPUT_JSON, OUTPUT_PICKLE
from gyoza_tui.worker.execution_pipeline.services import Services, services_of
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.op_output.event_lines import parse_event
from gyoza_tui.worker.op_output.op_outputs import BadOutput, decode_outputs
from gyoza_tui.worker.op_output.redaction import redacted_tail

_TAIL_LOOKED_AT: Final = 4 * LOG_TAIL_MAX


def complete_oprun(ctx: ExecutionContext) -> ExecutionContext:
    """Send COMPLETED with the outputs, or FAILED with the truth about the exit.

    Done when the report is on disk (in a script: when the server was told). A server that answers 400 or 409 has
    another owner for the run: that is no failure of this one.
    """
    services = services_of(ctx)
    row = services.record.row
    if row.outcome is not None:
        return ctx
    services.check_lost()
    ended = row.exit
    assert ended is not None
    failure = _failure(services, ended)
    if failure is None:
        failure = _complete(ctx, services, ended.doubt)
    if failure is not None:
        endings.failed(services.record.finish, failure, f"{failure.reason}: {failure.message}")
    return ctx


def _complete(ctx: ExecutionContext, services: Services, doubt: str | None) -> Failure | None:
    """`doubt`: why an op that left no outputs has not succeeded."""
    try:
        files = [_fetched(services, name) for name in (OUTPUT_JSON, OUTPUT_PICKLE)]
        if doubt is not None and files == [None, None]:
            message = f"{doubt}, and it left no outputs"
            return _failed(services, FailureReason.BACKEND_RESTARTED, message)
        decoded = decode_outputs(*files)
    except (BadOutput, FileRefused) as error:
        return _failed(services, FailureReason.BAD_OUTPUT, str(error))
    if decoded.notes:
        services.record.events([EventReport(type=EventType.ERROR, msg=note) for note in decoded.notes])
    ctx.outputs = decoded.values
    endings.completed(services.record.finish, decoded.values)
    return None


def _fetched(services: Services, name: str) -> bytes | None:
    handle = services.record.row.handle or {}
    return services.patiently("outputs", lambda: services.backend.fetch(handle, name, OUTPUT_FILE_MAX), math.inf)


def _failure(services: Services, ended: Exit) -> Failure | None:
    """Why it failed, the machine's fault before the op's; None for exit 0."""
    row = services.record.row
    if ended.machine_fault:
        reason, message = FailureReason.BACKEND_RESTARTED, ended.machine_fault
    elif row.filled_disk and ended.code != 0:  # it may have ended well just before it was stopped
        reason, message = FailureReason.FILLED_DISK, row.filled_disk
    elif ended.not_executable:
        reason, message = FailureReason.NOT_EXECUTABLE, ended.not_executable
    elif row.timed_out:
        reason, message = FailureReason.TIMEOUT, f"stopped after {row.run.timeout_s:g} s, its time limit"
    elif ended.oom:
        asked = row.run.constraints.ram_mb
        limit = f"its limit of {asked} MB" if asked else "the machine's memory"
        reason, message = FailureReason.OOM_KILLED, f"used more than {limit}"
    elif ended.code == 0:
        return None
    elif ended.signal in ("SIGKILL", "SIGTERM"):
        from_outside = f"ended by {ended.signal} from outside"
        reason = FailureReason.KILLED
        message = from_outside if ended.from_outside else plain_end(ended.code, ended.signal)
    else:
        reason, message = FailureReason.OP_ERROR, plain_end(ended.code, ended.signal)
    return _failed(services, reason, message, exit_code=ended.code, signal=ended.signal)


def _failed(
    services: Services, reason: FailureReason, message: str, *, exit_code: int | None = 0, signal: str | None = None
) -> Failure:
    return Failure(
        exit_code=exit_code,
        signal=signal,
        reason=reason,
        message=message,
        log_tail=_text(services, services.spool.tail(_TAIL_LOOKED_AT)),
        error_line=_error_line(services),
    )


def _error_line(services: Services) -> str:
    """The streams are read one by one: in which order their lines arrived says nothing of what came last."""
    marks = services.spool.resume()
    lines = (last_line(_text(services, marks[stream].tail)) for stream in (Stream.STDERR, Stream.STDOUT))
    return next(filter(None, lines), "")


def _text(services: Services, tail: bytes) -> str:
    """The end of an output, as text of at most 8 KiB; without its events, which the timeline has."""
    secrets = services.record.row.run.secret_env.values()
    lines = redacted_tail(tail, tuple(secrets)).splitlines(keepends=True)
    log = b"".join(line for line in lines if parse_event(line) is None)
    text = log[-LOG_TAIL_MAX:].decode(errors="replace").replace("\x00", "\ufffd")
    return text.encode()[-LOG_TAIL_MAX:].decode(errors="ignore")
