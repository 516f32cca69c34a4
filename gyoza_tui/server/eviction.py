"""An attempt taken back from a worker that fell silent, and what that worker may still make of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from gyoza_tui.models.failures import Failure, FailureReason
from gyoza_tui.models.states import Cause, EventType, RunState
from gyoza_tui.server import assignment, retries, run_ends, schema
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.run_change import Entry, RunChange


def lose(run: RunChange, why: str) -> None:
    """Its worker was not heard of, or has not listed it, for too long."""
    if run.state is RunState.ASSIGNED:
        assignment.unassign(run, why)
        return
    number, worker_id = run.run.current_attempt, run.attempt.worker_id
    failure = ObjectText.of(Failure(reason=FailureReason.WORKER_LOST, message=why).model_dump(mode="json"))
    run.close(number, RunState.FAILED, why)
    run.free(number)
    if run.run.infra_retries >= retries.policy_of(run).max_infra_retries:
        run.move(RunState.FAILED, Cause.REPORT)
        run.record(number, Entry(EventType.FAILED, why, failure))
        return
    run.set_attempt(number, taken_back=True)
    run.record(number, Entry(EventType.ERROR, why, failure))
    retries.by_infra(run, Cause.REQUEUE, worker_id, why)


def may_come_late(run: RunChange, number: int) -> bool:
    """Whether the attempt that was taken back may still win: no later one has started, and the run has not ended."""
    table = schema.attempts
    started = select(table.c.attempt).where(
        table.c.run_id == run.run.id, table.c.attempt > number, table.c.started_at.is_not(None)
    )
    return not run.state.terminal and run.tx.connection.execute(started.limit(1)).first() is None


def complete_late(run: RunChange, number: int, entry: Entry) -> None:
    """The result of an attempt that was taken back, before its successor started: the successor is withdrawn."""
    _withdraw(run, f"attempt {number} finished after all")
    run.move(RunState.COMPLETED, Cause.LATE, current_attempt=number, not_before=None)
    run_ends.completed(run, number, entry)


def resume_late(run: RunChange, row: Row[Any]) -> None:
    """The worker of an attempt that was taken back still runs it, and the successor is not assigned.

    Whether it waited or was frozen meanwhile is not known: the time is not counted as time at work.
    """
    number, silent = row.attempt, run.shared.server_time.due() - row.finished_at
    _withdraw(run, f"attempt {number} is running after all")
    run.set_attempt(
        number,
        state=RunState.RUNNING,
        held=True,
        taken_back=False,
        finished_at=None,
        error_message=None,
        frozen_us=row.frozen_us + silent,
    )
    run.move(RunState.RUNNING, Cause.LATE, current_attempt=number, not_before=None, avoid_worker=None)
    run.record(number, Entry(EventType.INFO, "its worker is heard of again and goes on"))


def _withdraw(run: RunChange, why: str) -> None:
    """Close the current attempt, which never started; its worker, if it has one, learns it from its beat."""
    successor = run.attempt
    run.set_attempt(
        successor.attempt,
        state=RunState.CANCELLED,
        finished_at=run.shared.server_time.due(),
        error_message=f"withdrawn: {why}",
    )
    if successor.held:
        run.shared.nudge(run.tx, successor.worker_id)
