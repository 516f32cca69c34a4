"""Changing runs by PATCH: a person's wishes, and what a worker reports that way."""

from __future__ import annotations

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import RunPatch
from gyoza_tui.models.states import OWNED, EventType, RunState
from gyoza_tui.server import assignment, children, retries, rows, run_ends, wishes
from gyoza_tui.server.children import Matter
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, not_yours
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.reports import Fence
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.shared_state import SharedState


def patch(
    shared: SharedState, tx: Transaction, run_id: str, change: RunPatch, outputs: ObjectText | None, by: str
) -> None:
    """`by`: who asks, for people to read."""
    run = RunChange(shared, tx, run_id)
    if change.priority is not None:
        _set_priority(run, change.priority, ended=run.state.terminal and change.state is None)
    if change.state is not None:
        _move(run, change, outputs)
    elif outputs is not None:
        row = Fence(change.worker_id, change.attempt, change.lease).passed(run)
        if run.state.terminal:
            raise Refused(409, ErrorCode.TERMINAL, f"run {run_id} is {run.state} already")
        if row.attempt != run.run.current_attempt or run.state not in OWNED or not row.held:
            raise not_yours(run_id)
        run.set_attempt(row.attempt, outputs=outputs.text)
    wishes.apply(run, change, by)


def _set_priority(run: RunChange, priority: int, *, ended: bool) -> None:
    if ended:
        raise Refused(409, ErrorCode.TERMINAL, f"run {run.run.id} is {run.state} already")
    if (parent := _parent_at_work(run)) is not None:
        why = f"run {run.run.id} has the priority of its parent {parent}: change that of the parent"
        raise Refused(409, ErrorCode.CONFLICT, why)
    run.set_run(priority=priority)
    run.shared.work_changed = True
    if run.run.children:
        children.pass_on(run.tx.connection, run.run.id, Matter.PRIORITY)


def _parent_at_work(run: RunChange) -> str | None:
    parent = None if run.run.parent_id is None else rows.run_row(run.tx.connection, run.run.parent_id)
    return None if parent is None or RunState(parent.state).terminal else parent.id


def _move(run: RunChange, change: RunPatch, outputs: ObjectText | None) -> None:
    match change.state:
        case RunState.CANCELLED if change.lease is None:
            if run.state is not RunState.CANCELLED:
                run_ends.cancel(run, change.reason)
        case RunState.PENDING:
            _to_pending(run, change)
        case RunState.RUNNING | RunState.COMPLETED | RunState.FAILED | RunState.CANCELLED:
            _as_report(run, change, outputs)
        case _:
            raise Refused(400, ErrorCode.TRANSITION, "only the server assigns a run")


def _to_pending(run: RunChange, change: RunPatch) -> None:
    """Retry of a run that has ended, or the giving back of one that has not."""
    if not change.names_attempt:
        retries.by_hand(run, change.reason)
        return
    if _given_back_before(run, change):
        return
    if run.state is RunState.COMPLETED:
        raise Refused(400, ErrorCode.TRANSITION, f"run {run.run.id} is COMPLETED: nothing leads out of that")
    row = Fence(change.worker_id, change.attempt, change.lease).passed(run)
    if row.attempt != run.run.current_attempt or run.state not in OWNED or not row.held:
        if row.held:
            run.free(row.attempt)
        code = ErrorCode.TERMINAL if run.state.terminal else ErrorCode.NOT_YOURS
        raise Refused(409, code, f"run {run.run.id} is {run.state}: attempt {row.attempt} cannot go back", keep=True)
    assignment.give_back(run, row.worker_id, change.reason or "no reason given", final=bool(change.final))


def _given_back_before(run: RunChange, change: RunPatch) -> bool:
    """Whether this giving back was done already and only its answer was lost."""
    if change.lease is None:
        return False
    number = run.run.current_attempt if change.attempt is None else change.attempt
    row = rows.attempt_row(run.tx.connection, run.run.id, number)
    if row is None or row.lease != change.lease:
        return False
    returned = row.worker_id is None or (row.error_message or "").startswith("given back: ")
    return returned and not row.held and run.state is RunState.PENDING


_EVENTS = {
    RunState.RUNNING: EventType.STARTED,
    RunState.COMPLETED: EventType.COMPLETED,
    RunState.FAILED: EventType.FAILED,
    RunState.CANCELLED: EventType.CANCELLED,
}


def _as_report(run: RunChange, change: RunPatch, outputs: ObjectText | None) -> None:
    """A worker that changes the state instead of sending the event."""
    row = Fence(change.worker_id, change.attempt, change.lease).passed(run)
    if run.state.terminal or row.attempt != run.run.current_attempt or not row.held:
        if row.held and change.state is not RunState.RUNNING:
            run.free(row.attempt)
        if run.state.terminal and row.attempt == run.run.current_attempt:
            words = f"run {run.run.id} is {run.state}: it cannot become {change.state}"
            raise Refused(400, ErrorCode.TRANSITION, words, keep=True)
        raise not_yours(run.run.id, keep=True)
    assert change.state is not None
    entry = Entry(_EVENTS[change.state], change.reason, outputs)
    match change.state:
        case RunState.RUNNING:
            assignment.start(run, entry)
        case RunState.COMPLETED:
            run_ends.complete(run, entry)
        case RunState.FAILED:
            run_ends.fail(run, entry)
        case _:
            run_ends.end_cancelled(run, entry)
