"""Every change of a run's state, each on a transaction, each with its entry in the timeline."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import RetryPolicy
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.failures import MACHINE_REASONS, Failure, Reason
from gyoza_tui.models.states import Cause, EventType, RunState, allowed
from gyoza_tui.server import schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, run_unknown
from gyoza_tui.server.hub import Hub
from gyoza_tui.server.moments import Micros
from gyoza_tui.server.rows import attempt_row, dumps, loads, run_row

INFRA_BACKOFF_S = 5.0
PAUSE_S = 60.0
PAUSE_MAX_S = 600.0
_MESSAGE_MAX = 2000

# built once: to build a statement takes longer than to execute it
_SET_RUN = schema.runs.update().where(schema.runs.c.id == bindparam("the_id"))
_SET_ATTEMPT = schema.attempts.update().where(
    schema.attempts.c.run_id == bindparam("the_run"), schema.attempts.c.attempt == bindparam("the_attempt")
)
_NEXT_ID = (
    select(func.coalesce(func.max(schema.events.c.id) + 1, 0))
    .where(schema.events.c.run_id == bindparam("the_run"), schema.events.c.attempt == bindparam("the_attempt"))
    .scalar_subquery()
)
_RECORD = schema.events.insert().values(id=_NEXT_ID)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a timeline is told."""

    type: EventType
    msg: str | float | None = None
    payload: dict[str, Any] | None = None
    t: Micros | None = None


class Lifecycle:
    """One run within one transaction; `run` and `attempt` (its current one) are as the last change left them."""

    def __init__(self, hub: Hub, tx: Transaction, run_id: str) -> None:
        self.hub = hub
        self.tx = tx
        self._id = run_id
        self._run: Row[Any] | None = None
        self._attempt: Row[Any] | None = None

    @property
    def run(self) -> Row[Any]:
        """Refused (404) when there is no such run."""
        if self._run is None:
            self._run = run_row(self.tx.connection, self._id)
        if self._run is None:
            raise run_unknown(self._id)
        return self._run

    @property
    def attempt(self) -> Row[Any]:
        if self._attempt is None:
            self._attempt = attempt_row(self.tx.connection, self._id, self.run.current_attempt)
        if self._attempt is None:
            raise LookupError(f"run {self._id} has no attempt {self.run.current_attempt}")
        return self._attempt

    @property
    def state(self) -> RunState:
        return RunState(self.run.state)

    # Writing

    def set_run(self, **values: Any) -> None:
        now = self.hub.moments.shown()
        self.tx.connection.execute(_SET_RUN, {"the_id": self._id, "updated_at": now, **values})
        self._run = self._attempt = None

    def set_attempt(self, number: int, **values: Any) -> None:
        self.tx.connection.execute(_SET_ATTEMPT, {"the_run": self._id, "the_attempt": number, **values})
        self._attempt = None

    def move(self, target: RunState, cause: Cause, **values: Any) -> None:
        """Change the run's state; Refused when the table of transitions has no such line."""
        if not allowed(self.state, target, cause):
            raise Refused(
                400, ErrorCode.TRANSITION, f"run {self.run.id} is {self.state}: it cannot become {target} ({cause})"
            )
        self.hub.work_changed = True
        self.set_run(state=target, **values)

    def record(self, number: int, entry: Entry) -> None:
        """Enter it into the attempt's timeline, with the state that the run has now."""
        now, topic = self.hub.moments.shown(), self.run.topic
        payload = None if entry.type is EventType.COMPLETED or entry.payload is None else dumps(entry.payload)
        self.tx.connection.execute(
            _RECORD,
            {
                "run_id": self._id,
                "attempt": number,
                "the_run": self._id,
                "the_attempt": number,
                "type": entry.type,
                "sent_at": now if entry.t is None else entry.t,
                "received_at": now,
                "msg": None if entry.msg is None else dumps(entry.msg),
                "payload": payload,
                "state": self.run.state,
                "topic": topic,
            },
        )
        if topic:
            self.tx.after_commit(lambda: self.hub.feeds.wake(topic))

    def free(self, number: int) -> None:
        """The worker's resources are no longer counted for that attempt."""
        self.hub.work_changed = True
        self.set_attempt(number, held=False)

    # By the scheduler

    def assign(self, worker_id: str, instance_id: str | None, constraints: Constraints) -> None:
        number = self.run.current_attempt
        self.set_attempt(
            number,
            state=RunState.ASSIGNED,
            worker_id=worker_id,
            instance_id=instance_id,
            lease=uuid.uuid4().hex,
            last_seq=0,
            held=True,
            taken_back=False,
            constraints=constraints.model_dump_json(exclude_none=True),
            assigned_at=self.hub.moments.due(),
        )
        self.move(RunState.ASSIGNED, Cause.ASSIGN, not_before=None)
        payload: dict[str, Any] = {"worker_id": worker_id}
        if constraints.gpu_id is not None:
            payload["gpu_id"] = constraints.gpu_id
        self.record(number, Entry(EventType.ASSIGNED, f"assigned to {worker_id}", payload))

    # By a worker's report

    def start(self, entry: Entry) -> None:
        self.set_attempt(self.run.current_attempt, state=RunState.RUNNING, started_at=self.hub.moments.due())
        self.move(RunState.RUNNING, Cause.REPORT)
        self.record(self.run.current_attempt, entry)

    def complete(self, entry: Entry) -> None:
        self.move(RunState.COMPLETED, Cause.REPORT)
        self._completed(self.run.current_attempt, entry)

    def complete_late(self, number: int, entry: Entry) -> None:
        """The result of an attempt that was taken back, before its successor started: the successor is withdrawn."""
        self._withdraw(f"attempt {number} finished after all")
        self.move(RunState.COMPLETED, Cause.LATE, current_attempt=number, not_before=None)
        self._completed(number, entry)

    def resume_late(self, number: int) -> None:
        """The worker of an attempt that was taken back still runs it, and the successor is not assigned."""
        self._withdraw(f"attempt {number} is running after all")
        self.set_attempt(
            number, state=RunState.RUNNING, held=True, taken_back=False, finished_at=None, error_message=None
        )
        self.move(RunState.RUNNING, Cause.LATE, current_attempt=number, not_before=None, avoid_worker=None)
        self.record(number, Entry(EventType.INFO, "its worker is heard of again and goes on"))

    def _completed(self, number: int, entry: Entry) -> None:
        self.set_attempt(
            number,
            state=RunState.COMPLETED,
            progress=dumps(100),
            outputs=dumps(entry.payload or {}),
            finished_at=self.hub.moments.due(),
            held=False,
            taken_back=False,
            error_message=None,
        )
        self.record(number, entry)

    def _withdraw(self, why: str) -> None:
        """Close the current attempt, which never started; its worker, if it has one, learns it from its beat."""
        successor = self.attempt
        self.set_attempt(
            successor.attempt,
            state=RunState.CANCELLED,
            finished_at=self.hub.moments.due(),
            error_message=f"withdrawn: {why}",
        )
        if successor.held:
            self.hub.nudge(self.tx, successor.worker_id)

    def fail(self, entry: Entry, *, released: bool = True) -> None:
        """FAILED, and in the same transaction the next attempt, if policy or budget allow one."""
        number, worker_id = self.run.current_attempt, self.attempt.worker_id
        self.move(RunState.FAILED, Cause.REPORT)
        self._close(number, RunState.FAILED, _message(entry))
        if released:
            self.free(number)
        self.record(number, entry)
        if (entry.payload or {}).get("reason") in MACHINE_REASONS:
            self._retry_infra(Cause.RETRY, worker_id, _message(entry))
        else:
            self._retry_by_policy(_message(entry))

    def end_cancelled(self, entry: Entry) -> None:
        """The worker says that it was cancelled there."""
        number = self.run.current_attempt
        self.move(RunState.CANCELLED, Cause.REPORT)
        self._close(number, RunState.CANCELLED, _message(entry))
        self.free(number)
        self.record(number, entry)

    def give_back(self, worker_id: str, reason: str) -> None:
        """Released by its worker: costs no budget, and is not offered to that worker again for a while."""
        number = self.run.current_attempt
        self._pause(worker_id)
        if self.state is RunState.ASSIGNED:
            self.unassign(f"given back by {worker_id}: {reason}")
            return
        self._close(number, RunState.CANCELLED, f"given back: {reason}")
        self.free(number)
        self.record(number, Entry(EventType.INFO, f"given back by {worker_id}: {reason}"))
        self._next_attempt(Cause.REQUEUE, f"given back: {reason}")

    # By a person

    def cancel(self, reason: str | None) -> None:
        """The attempt's resources stay counted until its worker has released them."""
        number, worker_id = self.run.current_attempt, self.attempt.worker_id
        self.move(RunState.CANCELLED, Cause.CANCEL, not_before=None)
        self._close(number, RunState.CANCELLED, reason)
        self.record(number, Entry(EventType.CANCELLED, reason or "cancelled"))
        if self.attempt.held:
            self.hub.nudge(self.tx, worker_id)

    def retry(self, reason: str | None) -> None:
        """By hand: both budgets begin anew."""
        self._next_attempt(
            Cause.RETRY, reason or "retried by hand", op_failures=0, infra_retries=0, avoid_worker=None, not_before=None
        )

    # By the server

    def unassign(self, why: str) -> None:
        """Back into the queue before it STARTED: same attempt, the next assignment makes a new lease."""
        number = self.run.current_attempt
        self.set_attempt(number, state=RunState.PENDING, worker_id=None, held=False, assigned_at=None)
        self.move(RunState.PENDING, Cause.UNASSIGN)
        self.record(number, Entry(EventType.INFO, why))

    def lose(self, why: str) -> None:
        """Its worker was not heard of, or has not listed it, for too long."""
        if self.state is RunState.ASSIGNED:
            self.unassign(why)
            return
        number, worker_id = self.run.current_attempt, self.attempt.worker_id
        failure = Failure(reason=Reason.WORKER_LOST, message=why).model_dump(mode="json")
        self._close(number, RunState.FAILED, why)
        self.free(number)
        if self.run.infra_retries >= self._policy.max_infra_retries:
            self.move(RunState.FAILED, Cause.REPORT)
            self.record(number, Entry(EventType.FAILED, why, failure))
            return
        self.set_attempt(number, taken_back=True)
        self.record(number, Entry(EventType.ERROR, why, failure))
        self._retry_infra(Cause.REQUEUE, worker_id, why)

    # What comes after a failure

    @property
    def _policy(self) -> RetryPolicy:
        return RetryPolicy.model_validate(loads(self.run.spec).get("retry_policy", {}))

    def _retry_by_policy(self, why: str | None) -> None:
        policy, failures = self._policy, self.run.op_failures + 1
        self.set_run(op_failures=failures)
        if failures < policy.max_attempts:
            self._next_attempt(Cause.RETRY, why, not_before=self._in(policy.delay_s(failures)), avoid_worker=None)

    def _retry_infra(self, cause: Cause, worker_id: str | None, why: str | None) -> None:
        spent = self.run.infra_retries
        if spent < self._policy.max_infra_retries:
            delay = INFRA_BACKOFF_S * 2.0**spent
            self._next_attempt(cause, why, not_before=self._in(delay), avoid_worker=worker_id, infra_retries=spent + 1)

    def _next_attempt(self, cause: Cause, why: str | None, **values: Any) -> None:
        table, last = schema.attempts, self.run.current_attempt
        highest = select(func.max(table.c.attempt)).where(table.c.run_id == self.run.id)
        number = (self.tx.connection.execute(highest).scalar() or 0) + 1
        new_attempt(self.tx, self.run.id, number, loads(self.run.spec).get("constraints", {}))
        self.move(RunState.PENDING, cause, current_attempt=number, **values)
        self.record(number, Entry(EventType.RETRIED, why, {"after_attempt": last}))

    def _in(self, seconds: float) -> Micros | None:
        return self.hub.moments.due() + int(seconds * 1e6) if seconds > 0 else None

    def _close(self, number: int, state: RunState, message: str | None) -> None:
        short = None if message is None else message[:_MESSAGE_MAX]
        self.set_attempt(number, state=state, finished_at=self.hub.moments.due(), error_message=short)

    def _pause(self, worker_id: str) -> None:
        table = schema.pauses
        where = (table.c.run_id == self.run.id) & (table.c.worker_id == worker_id)
        row = self.tx.connection.execute(select(table).where(where)).one_or_none()
        times = 1 if row is None else row.times + 1
        until = self.hub.moments.due() + int(min(PAUSE_S * 2.0 ** min(times - 1, 10), PAUSE_MAX_S) * 1e6)
        self.tx.connection.execute(table.delete().where(where))
        self.tx.connection.execute(
            table.insert().values(run_id=self.run.id, worker_id=worker_id, times=times, until=until)
        )


def new_attempt(tx: Transaction, run_id: str, number: int, constraints: dict[str, Any]) -> None:
    tx.connection.execute(
        schema.attempts.insert().values(
            run_id=run_id, attempt=number, id=str(uuid.uuid4()), state=RunState.PENDING, constraints=dumps(constraints)
        )
    )


def _message(entry: Entry) -> str | None:
    message = (entry.payload or {}).get("message")
    if isinstance(message, str) and message:
        return message
    return None if entry.msg is None else str(entry.msg)
