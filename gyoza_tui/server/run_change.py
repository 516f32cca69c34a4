"""Changing a run: on a transaction, along the table of transitions, with an entry in the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, select, text

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.states import Cause, EventType, RunState, allowed
from gyoza_tui.server import children, ends, schema, secret_env
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, run_unknown
from gyoza_tui.server.received import ObjectText
from gyoza_tui.server.rows import attempt_row, dumps, loads, run_row
from gyoza_tui.server.server_time import Micros
from gyoza_tui.server.shared_state import SharedState

_MESSAGE_MAX = 2000
_COUNTED = {"worker_id", "held", "constraints", "started_at", "alone_s", "waiting_since"}
"""Columns of an attempt by which its worker has less free."""

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
_LAST_ID = select(_NEXT_ID - 1)
_RECORD = schema.events.insert().values(id=_NEXT_ID)
_DELETE_OLDER_PROGRESS = text(f"{schema.DELETE_OLDER_PROGRESS} AND run_id = :the_run AND attempt = :the_attempt")
_END_PAUSES = schema.pauses.delete().where(schema.pauses.c.run_id == bindparam("the_run"))
_TAKE_BACK = schema.events.delete().where(
    schema.events.c.run_id == bindparam("the_run"),
    schema.events.c.attempt == bindparam("the_attempt"),
    schema.events.c.type == bindparam("kind"),
    schema.events.c.id == _NEXT_ID - 1,
)
_DELETE_EVENT = schema.events.delete().where(
    schema.events.c.run_id == bindparam("the_run"),
    schema.events.c.attempt == bindparam("the_attempt"),
    schema.events.c.id == bindparam("the_event"),
)
_attempts = schema.attempts.c
_END_WAITING = _SET_ATTEMPT.where(_attempts.waiting_since.is_not(None)).values(
    waited_us=_attempts.waited_us + bindparam("now") - _attempts.waiting_since, waiting_since=None, waiting=None
)
_END_FROZEN = _SET_ATTEMPT.where(_attempts.frozen_since.is_not(None)).values(
    frozen_us=_attempts.frozen_us + bindparam("now") - _attempts.frozen_since, frozen_since=None
)
_LAST_ERROR = (
    select(schema.events.c.msg)
    .where(
        schema.events.c.run_id == bindparam("the_run"),
        schema.events.c.attempt == bindparam("the_attempt"),
        schema.events.c.type == EventType.ERROR,
    )
    .order_by(schema.events.c.id.desc())
    .limit(1)
)


def _wishes_over(target: RunState) -> dict[str, Any]:
    """What is no longer wanted of a run that moves there. What is wanted of one that was taken back stays: its worker
    may be heard of again."""
    held = {"held_by": None} if target is not RunState.PENDING else {}
    over = target.terminal or target is RunState.ASSIGNED
    return held | {"want": None, "want_by": None, "after_children": False} if over else held


@dataclass(frozen=True, slots=True)
class Entry:
    """What a timeline is told."""

    type: EventType
    msg: str | float | None = None
    payload: ObjectText | None = None
    t: Micros | None = None

    @property
    def members(self) -> dict[str, Any]:
        """What a Failure has of the payload."""
        return {} if self.payload is None else self.payload.members

    @property
    def words(self) -> str | None:
        """Its message in words: the payload's, where that has one."""
        message = self.members.get("message")
        if isinstance(message, str) and message:
            return message
        return None if self.msg is None else str(self.msg)


class RunChange:
    """One run within one transaction; `run` and `attempt` (its current one) are as the last change left them."""

    def __init__(self, shared: SharedState, tx: Transaction, run_id: str) -> None:
        self.shared = shared
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
        now = self.shared.server_time.shown()
        self.tx.connection.execute(_SET_RUN, {"the_id": self._id, "updated_at": now, **values})
        self._run = self._attempt = None

    def set_attempt(self, number: int, **values: Any) -> None:
        if not _COUNTED.isdisjoint(values):
            self._touch(number, values.get("worker_id"))
        self.tx.connection.execute(_SET_ATTEMPT, {"the_run": self._id, "the_attempt": number, **values})
        self._attempt = None
        if values.get("held") is False:
            self.end_waiting(number)
            self.end_frozen(number)

    def end_waiting(self, number: int) -> None:
        """The attempt does not wait for its children, or no longer."""
        self._touch(number, None)
        self.tx.connection.execute(_END_WAITING, self._at(number))
        self._attempt = None

    def end_frozen(self, number: int) -> None:
        self.tx.connection.execute(_END_FROZEN, self._at(number))
        self._attempt = None

    def _at(self, number: int) -> dict[str, Any]:
        return {"the_run": self._id, "the_attempt": number, "now": self.shared.server_time.due()}

    def _touch(self, number: int, next_worker: str | None) -> None:
        row = attempt_row(self.tx.connection, self._id, number)
        for worker_id in (next_worker, None if row is None else row.worker_id):
            self.shared.roster.touch(worker_id)

    def move(self, target: RunState, cause: Cause, **values: Any) -> None:
        """Change the run's state; Refused when the table of transitions has no such line."""
        if not allowed(self.state, target, cause):
            raise Refused(
                400, ErrorCode.TRANSITION, f"run {self.run.id} is {self.state}: it cannot become {target} ({cause})"
            )
        self.shared.work_changed = True
        until = self.shared.server_time.due() + int(self.shared.timings.secret_env_s * 1e6)
        secrets = secret_env.after_move(self.run, target, until)
        self.shared.erased = self.shared.erased or "secret_env" in secrets
        if target.terminal:
            values["ended_seq"] = ends.next_seq(self.tx.connection, self.shared.server_time.shown())
        if self.run.children:
            children.after_move(self.tx.connection, self._id, target)
        self.set_run(**_wishes_over(target), state=target, **secrets, **values)
        if target.terminal:
            self.tx.connection.execute(_END_PAUSES, {"the_run": self._id})
            parent_id = self.run.parent_id
            self.tx.after_commit(lambda: self.shared.ends.wake(self._id, parent_id))

    def replace(self, number: int, event: int | None, entry: Entry) -> int:
        """Record it in place of an earlier entry of the attempt's timeline; its id."""
        at: dict[str, Any] = {"the_run": self._id, "the_attempt": number}
        if event is not None:
            self.tx.connection.execute(_DELETE_EVENT, at | {"the_event": event})
        self.record(number, entry)
        last: int = self.tx.connection.execute(_LAST_ID, at).scalar_one()
        return last

    def record(self, number: int, entry: Entry) -> None:
        """Enter it into the attempt's timeline, with the state that the run has now."""
        now, topic = self.shared.server_time.shown(), self.run.topic
        payload = None if entry.type is EventType.COMPLETED or entry.payload is None else entry.payload.text
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
        if entry.type is EventType.PROGRESS:
            self.tx.connection.execute(_DELETE_OLDER_PROGRESS, {"the_run": self._id, "the_attempt": number})
        if topic:
            self.tx.after_commit(lambda: self.shared.feeds.wake(topic))

    def take_back_last(self, number: int, kind: EventType) -> bool:
        """Remove the last entry of the attempt's timeline, where it is of this kind; whether it was."""
        the_attempt = {"the_run": self._id, "the_attempt": number, "kind": kind}
        return self.tx.connection.execute(_TAKE_BACK, the_attempt).rowcount > 0

    def last_error(self) -> Any:
        """What the last ERROR of the current attempt said; None where there is none."""
        the_attempt = {"the_run": self._id, "the_attempt": self.run.current_attempt}
        return loads(self.tx.connection.execute(_LAST_ERROR, the_attempt).scalar_one_or_none())

    def close(self, number: int, state: RunState, message: str | None) -> None:
        """The attempt's own end."""
        short = None if message is None else message[:_MESSAGE_MAX]
        self.set_attempt(number, state=state, finished_at=self.shared.server_time.due(), error_message=short)

    def free(self, number: int) -> None:
        """The worker's resources are no longer counted for that attempt."""
        self.shared.work_changed = True
        self.set_attempt(number, held=False)
