"""The word that a screen has for what an attempt is at: one table of step, intent and outcome."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol

from gyoza_tui.backends.base import Exit
from gyoza_tui.models.steps import StepName
from gyoza_tui.worker.journal.row import Intent, Outcome


class Phase(StrEnum):
    """In the order in which an attempt goes through them."""

    QUEUED = "QUEUED"
    """Taken on; nothing of it that takes time has begun."""
    PULLING = "PULLING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    FROZEN = "FROZEN"
    """Paused while it runs, by us or from outside."""
    WAITING = "WAITING"
    """For its children, without a slot."""
    RETURNING = "RETURNING"
    """What it waited for has ended; it waits for a slot."""
    CANCELLING = "CANCELLING"
    RELEASING = "RELEASING"
    COLLECTING = "COLLECTING"
    """The op has ended; its outputs are read."""
    TO_DELIVER = "TO DELIVER"
    """How it ended is on disk here, and not yet told to the server."""
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    RELEASED = "RELEASED"
    LOST = "LOST"
    """It is another's now; what still runs of it here is being stopped."""


_OF_OUTCOME: Final = {
    Outcome.COMPLETED: Phase.COMPLETED,
    Outcome.FAILED: Phase.FAILED,
    Outcome.CANCELLED: Phase.CANCELLED,
    Outcome.RELEASED: Phase.RELEASED,
    Outcome.LOST: Phase.LOST,
}
_OF_INTENT: Final = {
    Intent.CANCEL: Phase.CANCELLING,
    Intent.RELEASE: Phase.RELEASING,
    Intent.LOST: Phase.LOST,
}
_BEFORE_START: Final[dict[str, Phase]] = {
    "": Phase.QUEUED,
    StepName.PREPARE_INPUTS: Phase.QUEUED,
    StepName.PULL_LATEST_IMAGE: Phase.PULLING,
}
"""Steps that are not named here, as those of another pipeline, are STARTING until the container runs."""


class Attempt(Protocol):
    """What the phase of an attempt is read from, going on or closed."""

    @property
    def step(self) -> str: ...

    @property
    def intent(self) -> Intent: ...

    @property
    def exit(self) -> Exit | None: ...

    @property
    def started_at(self) -> float | None: ...

    @property
    def frozen_since(self) -> float | None: ...

    @property
    def waits(self) -> object | None: ...

    @property
    def returning(self) -> bool: ...

    @property
    def outcome(self) -> Outcome | None: ...

    @property
    def acked(self) -> bool: ...


def phase_of(attempt: Attempt) -> Phase:
    if attempt.outcome is not None:
        return _OF_OUTCOME[attempt.outcome] if attempt.acked else Phase.TO_DELIVER
    # what has ended is reported in spite of a cancel or a release
    if attempt.intent is Intent.LOST or (attempt.intent is not Intent.NONE and attempt.exit is None):
        return _OF_INTENT[attempt.intent]
    if attempt.exit is not None or attempt.step == StepName.COMPLETE_OPRUN:
        return Phase.COLLECTING
    if attempt.started_at is not None:
        return _at_work(attempt)
    return _BEFORE_START.get(attempt.step, Phase.STARTING)


def _at_work(attempt: Attempt) -> Phase:
    """Of one whose container has started. One that is frozen does nothing, whatever it waits for."""
    if attempt.frozen_since is not None:
        return Phase.FROZEN
    if attempt.waits is None:
        return Phase.RUNNING
    return Phase.RETURNING if attempt.returning else Phase.WAITING
