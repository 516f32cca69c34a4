"""A run to a worker, and back from one that cannot or will not run it."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.states import Cause, EventType, RunState
from gyoza_tui.server import retries, schema
from gyoza_tui.server.run_change import Entry, RunChange

PAUSE_S = 60.0
PAUSE_MAX_S = 600.0


def assign(run: RunChange, worker_id: str, instance_id: str | None, constraints: Constraints) -> None:
    number = run.run.current_attempt
    run.set_attempt(
        number,
        state=RunState.ASSIGNED,
        worker_id=worker_id,
        instance_id=instance_id,
        lease=uuid.uuid4().hex,
        last_seq=0,
        held=True,
        taken_back=False,
        constraints=constraints.model_dump_json(exclude_none=True),
        assigned_at=run.hub.moments.due(),
        alone_s=run.run.alone_s,
    )
    run.move(RunState.ASSIGNED, Cause.ASSIGN, not_before=None)
    payload: dict[str, Any] = {"worker_id": worker_id}
    if constraints.gpu_id is not None:
        payload["gpu_id"] = constraints.gpu_id
    run.record(number, Entry(EventType.ASSIGNED, f"assigned to {worker_id}", payload))


def start(run: RunChange, entry: Entry) -> None:
    run.set_attempt(run.run.current_attempt, state=RunState.RUNNING, started_at=run.hub.moments.due())
    run.move(RunState.RUNNING, Cause.REPORT)
    run.record(run.run.current_attempt, entry)


def unassign(run: RunChange, why: str) -> None:
    """Back into the queue before it STARTED: same attempt, the next assignment makes a new lease."""
    number = run.run.current_attempt
    run.set_attempt(number, state=RunState.PENDING, worker_id=None, held=False, assigned_at=None)
    run.move(RunState.PENDING, Cause.UNASSIGN)
    run.record(number, Entry(EventType.INFO, why))


def give_back(run: RunChange, worker_id: str, reason: str) -> None:
    """Released by its worker: costs no budget, and is not offered to that worker again for a while."""
    number = run.run.current_attempt
    _pause(run, worker_id)
    if run.state is RunState.ASSIGNED:
        unassign(run, f"given back by {worker_id}: {reason}")
        return
    run.close(number, RunState.CANCELLED, f"given back: {reason}")
    run.free(number)
    run.record(number, Entry(EventType.INFO, f"given back by {worker_id}: {reason}"))
    retries.next_attempt(run, Cause.REQUEUE, f"given back: {reason}")


def _pause(run: RunChange, worker_id: str) -> None:
    table = schema.pauses
    where = (table.c.run_id == run.run.id) & (table.c.worker_id == worker_id)
    row = run.tx.connection.execute(select(table).where(where)).one_or_none()
    times = 1 if row is None else row.times + 1
    until = run.hub.moments.due() + int(min(PAUSE_S * 2.0 ** min(times - 1, 10), PAUSE_MAX_S) * 1e6)
    run.tx.connection.execute(table.delete().where(where))
    run.tx.connection.execute(table.insert().values(run_id=run.run.id, worker_id=worker_id, times=times, until=until))
