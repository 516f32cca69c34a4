"""What a beat lists of runs, and the server's verdict on each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from gyoza_tui.models.states import OWNED, RunState
from gyoza_tui.models.workers import RunningOpReport, RunVerdict, Verdict
from gyoza_tui.server import eviction, rooms, waiting_and_frozen, wishes
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.roster import Known
from gyoza_tui.server.rows import attempt_row, constraints_of, run_row
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.shared_state import SharedState


def of(shared: SharedState, tx: Transaction, known: Known, op: RunningOpReport, *, late: bool) -> RunVerdict:
    """`late`: the beat was sent before the one that was taken last, so what it says of waiting is over."""
    row = run_row(tx.connection, op.id)
    if row is None:
        return RunVerdict(verdict=Verdict.UNKNOWN)
    run = RunChange(shared, tx, op.id)
    verdict = _judged(shared, run, known, op)
    if verdict is Verdict.OK and run.state is RunState.RUNNING and not late:
        waiting_and_frozen.take(run, op)
    want = wishes.of_beat(run.run, known) if verdict is Verdict.OK else None
    by = None if want is None else run.run.want_by
    return RunVerdict(state=run.state, attempt=run.run.current_attempt, verdict=verdict, want=want, want_by=by)


def _judged(shared: SharedState, run: RunChange, known: Known, op: RunningOpReport) -> Verdict:
    number = run.run.current_attempt if op.attempt is None else op.attempt
    row = attempt_row(run.tx.connection, run.run.id, number)
    if row is None or row.worker_id != known.worker_id:
        return Verdict.LOST
    if op.lease != row.lease and not (op.lease is None and row.instance_id is None):
        return Verdict.LOST
    key = (run.run.id, row.attempt, row.lease)
    if row.held:
        known.heard[key] = shared.server_time.boot()
        known.listed.add(key)
    if row.attempt == run.run.current_attempt:
        if run.state in OWNED:
            return Verdict.OK
        if run.state is RunState.CANCELLED:
            return Verdict.CANCEL
        # ended by its own report, of which the worker has not seen the answer; or by the server
        return Verdict.OK if not row.held and not row.taken_back else Verdict.LOST
    if row.taken_back and run.state is RunState.PENDING and eviction.may_come_late(run, row.attempt):
        return _resumed(shared, run, known, row, op)
    if row.state == RunState.CANCELLED and row.held:
        return Verdict.CANCEL
    return Verdict.LOST


def _resumed(shared: SharedState, run: RunChange, known: Known, row: Row[Any], op: RunningOpReport) -> Verdict:
    """Take the attempt back into the run, unless what it holds was given to others meanwhile."""
    room = rooms.room_of(shared.roster, run.tx.connection, shared.server_time, known)
    if not _still_fits(room, row, waits=op.waiting is not None):
        return Verdict.LOST
    eviction.resume_late(run, row)
    waiting_and_frozen.take(run, op, since=row.finished_at)
    key = (run.run.id, row.attempt, row.lease)
    known.heard[key] = shared.server_time.boot()
    known.listed.add(key)
    return Verdict.OK


def _still_fits(room: Room, row: Row[Any], *, waits: bool) -> bool:
    constraints = constraints_of(row)
    if waits:
        constraints = constraints.model_copy(update={"cpu": None})
    # it is there already, whatever the worker says of new work
    room.takes_work, room.slots = True, max(room.slots, 1)
    room.closed.clear()
    anywhere = Need(next(iter(room.backends), ""), None, constraints, frozenset())
    return bool(room.backends) and room.fits(anywhere)
