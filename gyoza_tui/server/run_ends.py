"""How a run ends: by its worker's report, or cancelled by a person."""

from __future__ import annotations

from pydantic import ValidationError

from gyoza_tui.models.failures import MACHINE_REASONS, Failure, FailureReason
from gyoza_tui.models.states import Cause, EventType, RunState
from gyoza_tui.server import children, restarts, retries
from gyoza_tui.server.rows import dumps
from gyoza_tui.server.run_change import Entry, RunChange


def complete(run: RunChange, entry: Entry) -> None:
    run.move(RunState.COMPLETED, Cause.REPORT)
    completed(run, run.run.current_attempt, entry)


def completed(run: RunChange, number: int, entry: Entry) -> None:
    run.set_attempt(
        number,
        state=RunState.COMPLETED,
        progress=dumps(100),
        outputs="{}" if entry.payload is None else entry.payload.text,
        finished_at=run.shared.server_time.due(),
        held=False,
        taken_back=False,
        error_message=None,
    )
    run.record(number, entry)
    if run.run.children and (left := children.at_work(run.tx.connection, run.run.id)):
        run.record(number, Entry(EventType.INFO, f"{left} {'child' if left == 1 else 'children'} still at work"))


def fail(run: RunChange, entry: Entry, *, released: bool = True) -> None:
    """FAILED, and in the same transaction the next attempt, if policy or budget allow one."""
    number, ended = run.run.current_attempt, run.attempt
    run.move(RunState.FAILED, Cause.REPORT)
    run.close(number, RunState.FAILED, _why(run, entry))
    if released:
        run.free(number)
    run.record(number, entry)
    reason = entry.members.get("reason")
    if reason == FailureReason.BACKEND_RESTARTED:
        restarts.retry(run, ended, entry.words)
    elif reason in MACHINE_REASONS:
        retries.by_infra(run, Cause.RETRY, ended.worker_id, entry.words)
    else:
        retries.by_policy(run, entry.words)


def _why(run: RunChange, entry: Entry) -> str | None:
    """With what the op said of it itself: a list of runs shows no timeline."""
    try:
        failure = Failure.model_validate(entry.members)
    except ValidationError:
        return entry.words
    cause = failure.cause(run.last_error())
    return f"{entry.words}: {cause}" if cause else entry.words


def end_cancelled(run: RunChange, entry: Entry) -> None:
    """The worker says that it was cancelled there."""
    number = run.run.current_attempt
    run.move(RunState.CANCELLED, Cause.REPORT)
    run.close(number, RunState.CANCELLED, entry.words)
    run.free(number)
    run.record(number, entry)


def cancel(run: RunChange, reason: str | None) -> None:
    """The attempt's resources stay counted until its worker has released them."""
    number, worker_id = run.run.current_attempt, run.attempt.worker_id
    run.move(RunState.CANCELLED, Cause.CANCEL, not_before=None)
    run.close(number, RunState.CANCELLED, reason)
    run.record(number, Entry(EventType.CANCELLED, reason or "cancelled"))
    if run.attempt.held:
        run.shared.nudge(run.tx, worker_id)
