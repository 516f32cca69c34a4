"""Creating, reading and changing runs."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.definitions import InputValidationError, OpSpec, fit_inputs
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import DefinitionRunRequest, OpRun, RunPatch, RunRequest
from gyoza_tui.models.states import OWNED, EventType, RunState
from gyoza_tui.server import assignment, definitions, retries, rooms, rows, run_ends, schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, not_yours, run_unknown
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.reports import Fence
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.scheduler import Need, Room
from gyoza_tui.server.server_time import Micros
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.why_waiting import given_back, placement

_STORED = set(OpSpec.model_fields) - {"secret_env"}
"""What of an op is kept in the column `spec`."""

# built once: to build a statement takes longer than to execute it
_NEW_RUN = schema.runs.insert()
_HOLDER = select(schema.attempts.c.worker_id).where(
    schema.attempts.c.run_id == bindparam("run_id"), schema.attempts.c.held
)
_NEVER_BY = select(schema.pauses.c.worker_id).where(
    schema.pauses.c.run_id == bindparam("run_id"), schema.pauses.c.final
)


@dataclass(frozen=True, slots=True)
class _New:
    """A run about to be stored."""

    id: str | None
    spec: OpSpec
    inputs: dict[str, Any]
    priority: int
    request_hash: str
    op_definition: str | None = None
    op_version: str | None = None


def create(shared: SharedState, tx: Transaction, request: RunRequest) -> str:
    """An ad hoc run's id; the same id and body means the run that is there."""
    digest = _hash("", request.model_dump_json())
    return _create(shared, tx, _New(request.id, request, request.inputs, request.priority, digest))


def create_from_definition(shared: SharedState, tx: Transaction, name: str, request: DefinitionRunRequest) -> str:
    if (known := _known(tx, request.id, digest := _hash(name, request.model_dump_json()))) is not None:
        return known
    definition = definitions.find(tx.connection, name, request.version)
    try:
        inputs = fit_inputs(definition, request.inputs)
    except InputValidationError as fault:
        raise Refused(400, ErrorCode.INPUTS, "; ".join(fault.errors)) from None
    return _create(
        shared, tx, _New(request.id, definition, inputs, request.priority, digest, definition.id, definition.version)
    )


def _create(shared: SharedState, tx: Transaction, new: _New) -> str:
    if (known := _known(tx, new.id, new.request_hash)) is not None:
        return known
    run_id, now = new.id or str(uuid.uuid4()), shared.server_time.shown()
    spec = new.spec.model_dump(mode="json", include=_STORED)
    tx.connection.execute(
        _NEW_RUN,
        {
            "id": run_id,
            "state": RunState.PENDING,
            "priority": new.priority,
            "spec": rows.dumps(spec),
            "secret_env": rows.dumps(new.spec.secret_env),
            "inputs": rows.dumps(new.inputs),
            "op_definition": new.op_definition,
            "op_version": new.op_version,
            "topic": new.spec.event_delivery.topic or None,
            "request_hash": new.request_hash,
            "created_at": now,
            "updated_at": now,
            "current_attempt": 1,
            "need": Need.of(new.spec).dumps(),
        },
    )
    retries.new_attempt(tx, run_id, 1, spec["constraints"])
    shared.work_changed = True
    return run_id


def _known(tx: Transaction, run_id: str | None, request_hash: str) -> str | None:
    run = None if run_id is None else rows.run_row(tx.connection, run_id)
    if run is None:
        return None
    if run.request_hash != request_hash:
        raise Refused(409, ErrorCode.CONFLICT, f"there is a run {run.id} already, and it asked for something else")
    return run_id


def _hash(name: str, body: str) -> str:
    return hashlib.sha256(f"{name}\n{body}".encode()).hexdigest()


# Reading


def one(shared: SharedState, connection: Connection, run_id: str, *, events: bool) -> OpRun:
    """The run, and why it waits, for which every worker is looked at."""
    run = _existing(connection, run_id)
    try:
        return rows.whole_run(connection, run, events=events, placement=Placements(shared, connection).of(run))
    except rows.DAMAGED as error:
        return rows.damaged_run(run, error)


def changed(connection: Connection, run_id: str) -> OpRun:
    """The run as the answer to what created or changed it: without its placement."""
    return rows.whole_run(connection, _existing(connection, run_id), events=True, placement=None)


def _existing(connection: Connection, run_id: str) -> Row[Any]:
    run = rows.run_row(connection, run_id)
    if run is None:
        raise run_unknown(run_id)
    return run


class Placements:
    """Why runs wait; the workers are looked at once for all of them."""

    def __init__(self, shared: SharedState, connection: Connection) -> None:
        self._shared = shared
        self._connection = connection
        self._words: dict[tuple[str, bool], str | None] = {}
        self._whole: list[Room] | None = None
        self._due: Micros = shared.server_time.due()

    def of(self, run: Row[Any]) -> str | None:
        if run.state != RunState.PENDING:
            return None
        if run.not_before is not None and run.not_before > self._due:
            return f"waits {max(1, round((run.not_before - self._due) / 1e6))} s before its next attempt"
        if (holder := self._holder(run.id)) is not None:
            return f"waits until worker {holder} has let its last attempt go"
        if (reserved := self._shared.reservations.worker_of(run.id)) is not None:
            return f"worker {reserved} is reserved for it: waits until enough of the runs there have ended"
        key = run.need, run.alone_s > 0
        if key not in self._words:
            free = rooms.all_rooms(self._shared.roster, self._connection, self._shared.server_time).values()
            why = placement(Need.loads(run.need), free, self._totals(), alone=run.alone_s > 0)
            self._words[key] = None if why is None else why.words
        if not run.given_back:
            return self._words[key]
        never = set(self._connection.execute(_NEVER_BY, {"run_id": run.id}).scalars())
        need = Need.loads(run.need)
        return given_back(need, run.given_back, run.given_back_why, never, self._totals(), self._words[key])

    def _totals(self) -> list[Room]:
        if self._whole is None:
            self._whole = rooms.whole_rooms(self._shared.roster, self._shared.server_time)
        return self._whole

    def _holder(self, run_id: str) -> str | None:
        """Who has not yet released an earlier attempt; until then no other is handed out."""
        worker_id: str | None = self._connection.execute(_HOLDER, {"run_id": run_id}).scalar()
        return worker_id


# Changing


def patch(shared: SharedState, tx: Transaction, run_id: str, change: RunPatch, outputs: ObjectText | None) -> None:
    run = RunChange(shared, tx, run_id)
    if change.priority is not None:
        if run.state.terminal and change.state is None:
            raise Refused(409, ErrorCode.TERMINAL, f"run {run_id} is {run.state} already")
        run.set_run(priority=change.priority)
        shared.work_changed = True
    if change.state is not None:
        _move(run, change, outputs)
    elif outputs is not None:
        row = Fence(change.worker_id, change.attempt, change.lease).passed(run)
        if run.state.terminal:
            raise Refused(409, ErrorCode.TERMINAL, f"run {run_id} is {run.state} already")
        if row.attempt != run.run.current_attempt or run.state not in OWNED or not row.held:
            raise not_yours(run_id)
        run.set_attempt(row.attempt, outputs=outputs.text)


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
