"""Runs, their attempts and events, and the requests that make and change them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import Inputs, OpSpec, RetryPolicy, Timeout
from gyoza_tui.models.filters import ServerState, op_name
from gyoza_tui.models.identity import Id
from gyoza_tui.models.limits import (
    ASKER_MAX,
    CLAIM_WAIT_S_MAX,
    ENDED_IDS_MAX,
    EVENT_MAX,
    KIB,
    OUTPUTS_MAX,
    PRIORITY_MAX,
)
from gyoza_tui.models.nested import Parent, Waiting
from gyoza_tui.models.states import OP_EVENTS, EventType, RunState
from gyoza_tui.models.values import check_json, json_size
from gyoza_tui.models.wire import Wire

SECRET_SHOWN = "***"
"""What everybody but a run's worker sees of a secret value."""

DEFAULT_PRIORITY = 5


def _payload(value: dict[str, Any] | None) -> dict[str, Any] | None:
    if value is not None:
        check_json(value, "payload")
    return value


Payload = Annotated[dict[str, Any] | None, AfterValidator(_payload)]
Cursor = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
"""In the order in which runs have ended."""
AnyId = Annotated[str, Field(max_length=256)]
"""Of a run at any server."""
Priority = Annotated[int, Field(strict=True, ge=-PRIORITY_MAX, le=PRIORITY_MAX)]
"""Higher runs first; equal ones by age."""


class Event(Wire):
    """One entry of an attempt's timeline. `t` is the sender's UTC, `received_at` the server's; order by `id` only."""

    id: int
    """From 0 per attempt."""
    type: EventType
    t: AwareDatetime
    msg: str | float | None = None
    """0 to 100 for PROGRESS."""
    payload: dict[str, Any] | None = None
    state: RunState | None = None
    """The run's state after this event."""
    received_at: AwareDatetime | None = None


class TopicEvent(Event):
    """An event as a topic's feed shows it."""

    run_id: str
    attempt: int


class ExecutionSummary(Wire):
    started_at: AwareDatetime | None = None
    duration_ms: int | None = None
    worker_id: str | None = None
    error_message: str | None = None
    gpu_id: int | None = None


class OpAttempt(Wire):
    id: str
    op_run_id: str
    attempt: int
    state: RunState
    progress: float = 0
    events: list[Event] = Field(default_factory=list)
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    execution_summary: ExecutionSummary = Field(default_factory=ExecutionSummary)
    constraints: Constraints = Field(default_factory=Constraints)
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class OpRun(OpSpec):
    """A run as the server tells it. Everything but id and image has a default: another server may know less."""

    id: str = Field(max_length=256)
    image: str
    """Not checked here: a name that cannot be run must not hide the runs beside it."""
    state: RunState = RunState.PENDING
    priority: int = DEFAULT_PRIORITY
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    progress: float = 0
    current_attempt: int = 1
    events: list[Event] = Field(default_factory=list)
    """The current attempt's."""
    op_definition: str | None = None
    op_version: str | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    attempts: list[OpAttempt] = Field(default_factory=list)
    execution_summary: ExecutionSummary = Field(default_factory=ExecutionSummary)
    worker_id: str | None = None
    not_before: AwareDatetime | None = None
    infra_retries: int = 0
    placement: str | None = None
    """Why the run is not placed, in words; None when it is, or when nothing is known against it."""
    parent_id: str | None = None
    """The run that created it."""
    depth: int = 0
    """Generations above it."""
    waiting: Waiting | None = None
    """While it waits for its children and has no slot; its state stays RUNNING."""
    frozen: AwareDatetime | None = None
    """Since when the container of its attempt is paused."""
    held: str | None = None
    """Who holds it back; it is not placed until it is let go."""
    attempt: int | None = None
    """In a claim's answer: the attempt handed over."""
    lease: str | None = None
    """In a claim's answer: the right to report on it."""

    @property
    def op_name(self) -> str:
        """What a person calls its op. From outside: never shown as it is."""
        return op_name(self.image, self.op_definition, self.op_version)

    @property
    def server_state(self) -> ServerState:
        return ServerState(
            self.state,
            held=self.held is not None,
            waiting=self.waiting is not None,
            frozen=self.frozen is not None,
        )

    @property
    def state_word(self) -> str:
        """What a person is shown for its state: WAITING, FROZEN and HELD too."""
        return self.server_state.words[0].upper()


class RunRequest(OpSpec):
    """`POST /runs`: an ad hoc run."""

    id: Id | None = None
    """Chosen by the client: the same id and body answers the same run."""
    inputs: Inputs = Field(default_factory=dict)
    priority: Priority = DEFAULT_PRIORITY
    parent: Parent | None = None
    detach: bool = False
    """With a parent: it goes on when that is cancelled or fails."""


class DefinitionRunRequest(Wire):
    """`POST /definitions/{name}/runs`."""

    id: Id | None = None
    inputs: Inputs = Field(default_factory=dict)
    priority: Priority = DEFAULT_PRIORITY
    version: Id | None = None
    constraints: Constraints | None = None
    """Those of its fields that are given stand in place of the definition's, which keeps the others."""
    timeout_s: Timeout | None = None
    """In place of the definition's."""
    retry_policy: RetryPolicy | None = None
    """As a whole in place of the definition's."""
    parent: Parent | None = None
    detach: bool = False
    """With a parent: it goes on when that is cancelled or fails."""


class RunPatch(Wire):
    """`PATCH /runs/{id}`. Giving a run back names worker, attempt and lease; a user's change names none."""

    state: RunState | None = None
    outputs: Payload = None
    priority: Priority | None = None
    worker_id: str | None = None
    attempt: int | None = None
    lease: str | None = None
    reason: str | None = Field(default=None, max_length=2 * KIB)
    final: bool | None = None
    """With a run that is given back: this worker will never take it, as with a volume that it does not allow."""
    held: bool | None = None
    """Whether a PENDING run is held back."""
    frozen: bool | None = None
    """Whether a run at work is to be frozen."""
    release: Literal[True] | None = None
    """Its worker is to stop it and give it back."""
    by: str | None = Field(default=None, min_length=1, max_length=ASKER_MAX)
    """Who asks for one of these three, for people to read; the role of the key where no name is given."""

    @property
    def names_attempt(self) -> bool:
        """Whether it is a worker's, about an attempt: a user's change is about the run."""
        return (self.worker_id, self.attempt, self.lease) != (None, None, None)


class EventReport(Wire):
    """`POST /runs/{id}/events`: one event of one attempt. The reference's `event_type` is taken for `type`."""

    type: EventType
    msg: str | float | None = None
    payload: Payload = None
    worker_id: str | None = None
    attempt: int | None = None
    lease: str | None = None
    seq: int | None = Field(default=None, ge=1)
    """From 1 per (run, attempt, lease), gaps allowed; one already known is answered and does nothing."""
    t: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _reference_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and "type" not in data and "event_type" in data:
            return data | {"type": data["event_type"]}
        return data

    @model_validator(mode="after")
    def _checked(self) -> Self:
        check_json(self.msg, "msg")
        if self.type is EventType.PROGRESS and not (isinstance(self.msg, int | float) and 0 <= self.msg <= 100):
            raise ValueError("PROGRESS carries a number from 0 to 100 as msg")
        size = json_size([self.msg, self.payload])
        limit = EVENT_MAX if self.type in OP_EVENTS else OUTPUTS_MAX
        if size > limit:
            raise ValueError(f"{self.type} of {size} bytes: at most {limit}")
        return self


class EndedRequest(Wire):
    """`POST /ended`: which of these runs, or of the children of these parents, have ended. Open until one has."""

    ids: list[AnyId] | None = Field(default=None, max_length=ENDED_IDS_MAX)
    parents: dict[AnyId, Cursor] | None = Field(default=None, max_length=ENDED_IDS_MAX)
    """Of each parent, the cursor of the answer before; 0 at first."""
    wait_s: float = Field(default=0, ge=0, le=CLAIM_WAIT_S_MAX, allow_inf_nan=False)
    worker_id: Id | None = None
    """Whose beat answers it early, because the parents have changed."""

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if self.ids is None and self.parents is None:
            raise ValueError("name ids or parents")
        return self


class EndedRun(Wire):
    id: str
    state: RunState
    parent_id: str | None = None


class Ended(Wire):
    """The answer to `POST /ended`. Of a run that is not named nothing is known: it has not ended, or there is none."""

    runs: list[EndedRun] = Field(default_factory=list)
    parents: dict[str, int] = Field(default_factory=dict)
    """Of each parent asked for, the cursor to go on from. More may wait behind it."""


class EventsAccepted(Wire):
    """The answer to `POST /runs/{id}/events`."""

    accepted: int | None = None
    """None: another server took them and does not say how many."""
    dropped: int = 0
    """INFO, PROGRESS or ERROR over the attempt's size limit."""
    state: RunState | None = None
    current_attempt: int | None = None
