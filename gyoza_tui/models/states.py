"""States of a run, the transitions allowed between them, and the events that cause them, as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class RunState(StrEnum):
    PENDING = "PENDING"
    ASSIGNED = "ASSIGNED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether only an explicit or automatic retry leads out of this state."""
        return self in TERMINAL


TERMINAL: Final = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED})
OWNED: Final = frozenset({RunState.ASSIGNED, RunState.RUNNING})
"""States in which a worker holds the run."""


class EventType(StrEnum):
    ASSIGNED = "ASSIGNED"
    STARTED = "STARTED"
    INFO = "INFO"
    PROGRESS = "PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    ERROR = "ERROR"
    RETRIED = "RETRIED"


EVENT_STATE: Final[dict[EventType, RunState]] = {
    EventType.STARTED: RunState.RUNNING,
    EventType.COMPLETED: RunState.COMPLETED,
    EventType.FAILED: RunState.FAILED,
    EventType.CANCELLED: RunState.CANCELLED,
}
"""The events that move the state. Only a worker's report or a user's PATCH sends them, never a line of an op."""

OP_EVENTS: Final = frozenset({EventType.INFO, EventType.PROGRESS, EventType.ERROR})
"""The events that a line of an op's output can be."""


class Cause(StrEnum):
    """Why a run changes its state."""

    ASSIGN = "assign"
    """The scheduler hands it to a claim."""
    UNASSIGN = "unassign"
    """Taken or given back before it STARTED: same attempt, new lease."""
    REPORT = "report"
    """The worker that holds the lease says so."""
    CANCEL = "cancel"
    """A person asks for it."""
    RETRY = "retry"
    """By hand or by the retry policy: attempt + 1."""
    REQUEUE = "requeue"
    """Given back, or its worker lost, after it STARTED: attempt + 1."""
    LATE = "late"
    """The attempt that eviction took back is heard of again before its successor STARTED."""


class Transition(NamedTuple):
    source: RunState
    target: RunState
    cause: Cause


_S, _C = RunState, Cause

TRANSITIONS: Final[frozenset[Transition]] = frozenset(
    {
        Transition(_S.PENDING, _S.ASSIGNED, _C.ASSIGN),
        Transition(_S.ASSIGNED, _S.PENDING, _C.UNASSIGN),
        Transition(_S.ASSIGNED, _S.RUNNING, _C.REPORT),
        Transition(_S.ASSIGNED, _S.FAILED, _C.REPORT),
        Transition(_S.RUNNING, _S.COMPLETED, _C.REPORT),
        Transition(_S.RUNNING, _S.FAILED, _C.REPORT),
        Transition(_S.RUNNING, _S.CANCELLED, _C.REPORT),
        Transition(_S.ASSIGNED, _S.CANCELLED, _C.REPORT),
        Transition(_S.PENDING, _S.CANCELLED, _C.CANCEL),
        Transition(_S.ASSIGNED, _S.CANCELLED, _C.CANCEL),
        Transition(_S.RUNNING, _S.CANCELLED, _C.CANCEL),
        Transition(_S.FAILED, _S.PENDING, _C.RETRY),
        Transition(_S.CANCELLED, _S.PENDING, _C.RETRY),
        Transition(_S.RUNNING, _S.PENDING, _C.REQUEUE),
        Transition(_S.PENDING, _S.RUNNING, _C.LATE),
        Transition(_S.PENDING, _S.COMPLETED, _C.LATE),
        Transition(_S.ASSIGNED, _S.COMPLETED, _C.LATE),
    }
)


def allowed(source: RunState, target: RunState, cause: Cause | None = None) -> bool:
    """Whether `source` may become `target`, for `cause` or for any."""
    causes = [cause] if cause else list(Cause)
    return any(Transition(source, target, c) in TRANSITIONS for c in causes)


def _check() -> None:
    """The table is whole: every state is reached, every unfinished one ends, nothing leaves COMPLETED."""
    sources = {t.source for t in TRANSITIONS}
    targets = {t.target for t in TRANSITIONS}
    if sources != set(RunState) - {RunState.COMPLETED} or targets != set(RunState):
        raise AssertionError("the transition table has an unreachable state or a dead end")
    for state in set(RunState) - TERMINAL:
        if not allowed(state, RunState.CANCELLED, Cause.CANCEL):
            raise AssertionError(f"{state} cannot be cancelled")
    if any(t.source is t.target for t in TRANSITIONS):
        raise AssertionError("a transition leads to its own state")


_check()
