"""Rows into wire types and back. Inputs, outputs and payloads are for `stored_json.written` only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.runs import SECRET_SHOWN, Event, ExecutionSummary, OpAttempt, OpRun
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.server import schema
from gyoza_tui.server.server_time import to_utc
from gyoza_tui.server.stored_json import place


def dumps(value: Any) -> str:
    return to_json(value).decode()


def loads(text: str | None) -> Any:
    return None if text is None else from_json(text)


# built once: to build a statement takes longer than to execute it
_RUN = select(schema.runs).where(schema.runs.c.id == bindparam("id"))
_ATTEMPT = select(schema.attempts).where(
    schema.attempts.c.run_id == bindparam("run_id"), schema.attempts.c.attempt == bindparam("attempt")
)
_ATTEMPTS = (
    select(schema.attempts).where(schema.attempts.c.run_id == bindparam("run_id")).order_by(schema.attempts.c.attempt)
)
_EVENTS = (
    select(schema.events)
    .where(schema.events.c.run_id == bindparam("run_id"))
    .order_by(schema.events.c.attempt, schema.events.c.id)
)


def run_row(connection: Connection, run_id: str) -> Row[Any] | None:
    return connection.execute(_RUN, {"id": run_id}).one_or_none()


def attempt_row(connection: Connection, run_id: str, attempt: int) -> Row[Any] | None:
    if not 0 < attempt < 2**31:
        return None
    return connection.execute(_ATTEMPT, {"run_id": run_id, "attempt": attempt}).one_or_none()


def constraints_of(attempt: Row[Any]) -> Constraints:
    return Constraints.model_validate_json(attempt.constraints)


def event_of(row: Row[Any], outputs: dict[str, Any] | None) -> Event:
    """`outputs`: of the event's attempt, in their place, which are the payload of COMPLETED."""
    payload = None if row.payload is None else place(row.payload)
    return Event(
        id=row.id,
        type=EventType(row.type),
        t=to_utc(row.sent_at),
        msg=loads(row.msg),
        payload=outputs if row.type == EventType.COMPLETED else payload,
        state=RunState(row.state),
        received_at=to_utc(row.received_at),
    )


def _summary(row: Row[Any]) -> ExecutionSummary:
    took = None
    if row.started_at is not None and row.finished_at is not None:
        took = max(0, (row.finished_at - row.started_at) // 1000)
    return ExecutionSummary(
        started_at=None if row.started_at is None else to_utc(row.started_at),
        duration_ms=took,
        worker_id=row.worker_id,
        error_message=row.error_message,
        gpu_id=constraints_of(row).gpu_id if row.assigned_at is not None else None,
    )


def _attempt_of(
    row: Row[Any], inputs: dict[str, Any], outputs: dict[str, Any] | None, events: list[Event]
) -> OpAttempt:
    return OpAttempt(
        id=row.id,
        op_run_id=row.run_id,
        attempt=row.attempt,
        state=RunState(row.state),
        progress=loads(row.progress),
        events=events,
        inputs=inputs,
        outputs=outputs or {},
        execution_summary=_summary(row),
        constraints=constraints_of(row),
        started_at=None if row.started_at is None else to_utc(row.started_at),
        finished_at=None if row.finished_at is None else to_utc(row.finished_at),
    )


def run_of(run: Row[Any], current: Row[Any] | None, *, for_worker: bool = False, **more: Any) -> OpRun:
    """The run without events and attempts. `for_worker`: as a claim answers it, with secrets and its lease."""
    secrets: dict[str, str] = loads(run.secret_env)
    fields = loads(run.spec) | {
        "id": run.id,
        "state": run.state,
        "priority": run.priority,
        "inputs": place(run.inputs),
        "op_definition": run.op_definition,
        "op_version": run.op_version,
        "created_at": to_utc(run.created_at),
        "updated_at": to_utc(run.updated_at),
        "current_attempt": run.current_attempt,
        "not_before": None if run.not_before is None else to_utc(run.not_before),
        "infra_retries": run.infra_retries,
        "parent_id": run.parent_id,
        "depth": run.depth,
        "held": run.held_by,
        "secret_env": secrets if for_worker else dict.fromkeys(secrets, SECRET_SHOWN),
    }
    if current is not None:
        fields |= {
            "progress": loads(current.progress),
            "outputs": place(current.outputs),
            "worker_id": current.worker_id,
            "attempt": current.attempt,
            "execution_summary": _summary(current),
        }
        if run.state == RunState.RUNNING:
            frozen = None if current.frozen_since is None else to_utc(current.frozen_since)
            fields |= {"waiting": loads(current.waiting), "frozen": frozen}
        if for_worker:
            fields |= {"lease": current.lease, "constraints": constraints_of(current)}
    return OpRun.model_validate(fields | more)


DAMAGED: Final = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""What reading a row raises that no server wrote."""


def damaged_run(run: Row[Any], error: Exception) -> OpRun:
    """What is shown of a run whose row, or attempt's row, cannot be read."""
    why = f"its data is damaged at the server: {next(iter(str(error).splitlines()), type(error).__name__)[:200]}"
    state = RunState(run.state) if run.state in set(RunState) else RunState.FAILED
    return OpRun(
        id=str(run.id)[:256],
        image="",
        state=state,
        placement=why,
        execution_summary=ExecutionSummary(error_message=why),
    )


def whole_run(connection: Connection, run: Row[Any], *, events: bool, placement: str | None) -> OpRun:
    """The run with its attempts and, unless not wanted, all their events. Each stored text is checked once."""
    rows = connection.execute(_ATTEMPTS, {"run_id": run.id}).all()
    current = next((row for row in rows if row.attempt == run.current_attempt), None)
    whole = run_of(run, current, placement=placement)
    others = {row.attempt: place(row.outputs) for row in rows if row is not current and row.outputs is not None}
    outputs = others if current is None or current.outputs is None else others | {current.attempt: whole.outputs}
    timelines = _timelines(connection, run.id, outputs) if events else defaultdict(list)
    whole.events = timelines[run.current_attempt]
    whole.attempts = [_attempt_of(row, whole.inputs, outputs.get(row.attempt), timelines[row.attempt]) for row in rows]
    return whole


def _timelines(
    connection: Connection, run_id: str, outputs: dict[int, dict[str, Any]]
) -> defaultdict[int, list[Event]]:
    timelines: defaultdict[int, list[Event]] = defaultdict(list)
    for row in connection.execute(_EVENTS, {"run_id": run_id}):
        timelines[row.attempt].append(event_of(row, outputs.get(row.attempt)))
    return timelines


def current_attempts(connection: Connection, runs: Iterable[Row[Any]]) -> dict[str, Row[Any]]:
    """The current attempt of each run."""
    table = schema.attempts
    wanted = {run.id: run.current_attempt for run in runs}
    rows = connection.execute(select(table).where(table.c.run_id.in_(list(wanted))))
    return {row.run_id: row for row in rows if row.attempt == wanted[row.run_id]}
