"""A run to a worker, and back from one that cannot or will not run it."""

from __future__ import annotations

import uuid
from typing import Any, Final

from sqlalchemy import select

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.states import Cause, EventType, RunState
from gyoza_tui.server import retries, schema
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.run_change import Entry, RunChange

PAUSE_S = 60.0
PAUSE_MAX_S = 600.0
_FOR_EVER: Final = 2**62


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
        assigned_at=run.shared.server_time.due(),
        alone_s=run.run.alone_s,
    )
    run.move(RunState.ASSIGNED, Cause.ASSIGN, not_before=None)
    payload: dict[str, Any] = {"worker_id": worker_id}
    if constraints.gpu_id is not None:
        payload["gpu_id"] = constraints.gpu_id
    run.record(number, Entry(EventType.ASSIGNED, f"assigned to {worker_id}", ObjectText.of(payload)))


def start(run: RunChange, entry: Entry) -> None:
    run.set_attempt(run.run.current_attempt, state=RunState.RUNNING, started_at=run.shared.server_time.due())
    run.move(RunState.RUNNING, Cause.REPORT, given_back=0, given_back_why=None)
    run.record(run.run.current_attempt, entry)


def unassign(run: RunChange, why: str, *, shown: bool = True) -> None:
    """Back into the queue before it STARTED: same attempt, the next assignment makes a new lease."""
    number = run.run.current_attempt
    run.set_attempt(number, state=RunState.PENDING, worker_id=None, held=False, assigned_at=None)
    run.move(RunState.PENDING, Cause.UNASSIGN)
    if shown:
        run.record(number, Entry(EventType.INFO, why))


def give_back(run: RunChange, worker_id: str, reason: str, *, final: bool = False) -> None:
    """Released by its worker: costs no budget, and is not offered to that worker again for some time.

    A run that makes room for its children did nothing for which it should go elsewhere.
    `final`: never again, until that worker is started again or says that more of its machine works. Of many times in a
    row the timeline has the 1st, 2nd, 4th, 8th and so on.
    """
    number, times = run.run.current_attempt, run.run.given_back + 1
    if not run.run.after_children:
        _pause(run, worker_id, final=final)
    run.set_run(given_back=times, given_back_why=f"{worker_id}: {reason}")
    if run.state is RunState.ASSIGNED:
        left_out = times & (times - 1) != 0 and run.take_back_last(number, EventType.ASSIGNED)
        unassign(run, f"given back by {worker_id}: {reason}", shown=not left_out)
        return
    run.close(number, RunState.CANCELLED, f"given back: {reason}")
    run.free(number)
    run.record(number, Entry(EventType.INFO, f"given back by {worker_id}: {reason}"))
    retries.next_attempt(run, Cause.REQUEUE, f"given back: {reason}")


def _pause(run: RunChange, worker_id: str, *, final: bool) -> None:
    table = schema.pauses
    where = (table.c.run_id == run.run.id) & (table.c.worker_id == worker_id)
    row = run.tx.connection.execute(select(table).where(where)).one_or_none()
    times = 1 if row is None else row.times + 1
    seconds = min(PAUSE_S * 2.0 ** min(times - 1, 10), PAUSE_MAX_S)
    until = _FOR_EVER if final else run.shared.server_time.due() + int(seconds * 1e6)
    run.tx.connection.execute(table.delete().where(where))
    values = {"run_id": run.run.id, "worker_id": worker_id, "times": times, "until": until, "final": final}
    run.tx.connection.execute(table.insert().values(values))
