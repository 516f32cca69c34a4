"""What a worker and the server tell each other: heartbeats and claims."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, Field

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.cores import Cores
from gyoza_tui.models.definitions import Tags
from gyoza_tui.models.identity import Id
from gyoza_tui.models.limits import (
    ASKER_MAX,
    AWAY_S_MAX,
    CLAIM_WAIT_S_MAX,
    CPU_MAX,
    FEATURES_MAX,
    GPU_ID_MAX,
    MEMORY_MB_MAX,
    RUNS_LISTED_MAX,
    RUNS_PER_CLAIM_MAX,
    TROUBLES_MAX,
)
from gyoza_tui.models.nested import Waiting
from gyoza_tui.models.states import RunState
from gyoza_tui.models.wire import Wire

PROTOCOL = 1


class WorkerState(StrEnum):
    """What a worker does about new work."""

    CLAIMING = "claiming"
    PAUSED = "paused"
    DRAINING = "draining"
    AWAY = "away"
    """Gone for a while (detach, upgrade); its containers go on."""


class Verdict(StrEnum):
    """The server's word on a run that a beat listed."""

    OK = "ok"
    CANCEL = "cancel"
    LOST = "lost"
    """A newer attempt or another lease: stop it."""
    UNKNOWN = "unknown"
    """This server does not know the run: never stops anything."""


class Want(StrEnum):
    """What the server wants of a run that its worker has, beside what the verdict says."""

    FROZEN = "frozen"
    """Pause its container; without it, a container that was paused for this goes on."""
    RELEASE = "release"
    """Stop it and give it back."""


class Children(StrEnum):
    """Runs that a claim can be limited to: those with an ancestor that waits."""

    MINE = "mine"
    """With one that waits at the worker that claims."""
    ANY = "any"
    """With one that waits at any worker."""


class Feature(StrEnum):
    """What a peer names in a heartbeat or its answer, because it is sent to no other; unknown ones are ignored."""

    FRACTIONAL_CPU = "fractional_cpu"
    WANTED_STATE = "wanted_state"
    WAITING = "waiting"
    """Runs that give up their slot while they wait for their children."""
    FREEZE = "freeze"


WantedWorkerState: TypeAlias = Literal[WorkerState.CLAIMING, WorkerState.PAUSED, WorkerState.DRAINING]


class WantedRequest(Wire):
    """`PATCH /workers/{id}`."""

    wanted: WantedWorkerState
    by: str | None = Field(default=None, min_length=1, max_length=ASKER_MAX)
    """Who wants it, for people to read; the role of the key where no name is given."""


class Wanted(Wire):
    """The state that a worker should be in, as was asked for at the server."""

    state: WantedWorkerState
    seq: int
    """Another one for each request; a worker applies each once."""
    by: str
    since: AwareDatetime


class WantedAnswer(StrEnum):
    """What a worker has done about the wanted state of one `seq`."""

    APPLIED = "applied"
    OVERRIDDEN = "overridden"
    """Another state was asked for at the worker since."""
    DRAINED = "drained"
    """A drain that an earlier start of this worker applied: this start is paused."""


class WantedReport(Wire):
    seq: int
    answer: WantedAnswer


class WantedView(Wanted):
    """The wanted state as everybody may see it."""

    answer: WantedAnswer | None = None
    """None: the worker has not reported that it knows of it."""


class GpuReport(Wire):
    id: int = Field(ge=0, le=GPU_ID_MAX)
    vram_mb: int = Field(default=0, ge=0, le=MEMORY_MB_MAX)
    foreign_mb: int = Field(default=0, ge=0, le=MEMORY_MB_MAX)
    """Used of it and reserved by no run of that worker: by other programs, or by a run beyond its own part."""
    tags: Tags = Field(default_factory=list)


class ResourcesReport(Wire):
    cpu_cores: Cores = 0
    ram_mb: int = Field(default=0, ge=0, le=MEMORY_MB_MAX)
    gpus: list[GpuReport] = Field(default_factory=list, max_length=64)


class RunningOpReport(Wire):
    """A run whose end the server has not yet acknowledged."""

    id: str = Field(max_length=256)
    image: str = ""
    inputs: dict[str, Any] | None = None
    """Only for a server without `protocol`."""
    constraints: Constraints = Field(default_factory=Constraints)
    attempt: int | None = None
    lease: str | None = None
    phase: str | None = None
    waiting: Waiting | None = None
    """While it has no slot: it waits for its children."""
    frozen: AwareDatetime | None = None
    """Since when its container is paused."""


class HeartbeatRequest(Wire):
    """`POST /workers/heartbeat`. The first four are the reference's; a minimal worker sends no more."""

    worker_id: Id
    resources: ResourcesReport = Field(default_factory=ResourcesReport)
    tags: Tags = Field(default_factory=list)
    running_ops: list[RunningOpReport] = Field(default_factory=list, max_length=RUNS_LISTED_MAX)
    instance_id: Id | None = None
    """The state directory's uuid."""
    epoch: int | None = Field(default=None, ge=0, lt=2**53)
    """Grows at each start of the instance."""
    beat: int | None = Field(default=None, ge=0, lt=2**53)
    state: WorkerState = WorkerState.CLAIMING
    version: str | None = Field(default=None, max_length=64)
    protocol: int | None = None
    hostname: str | None = Field(default=None, max_length=256)
    max_runs: int | None = Field(default=None, ge=0, le=CPU_MAX)
    free_slots: int | None = Field(default=None, ge=0, le=CPU_MAX)
    backends: list[Id] = Field(default_factory=lambda: ["docker"], max_length=32)
    ops: list[str] = Field(default_factory=list, max_length=1024)
    """The owner's local ops, as `local://name` names them: `name`."""
    trouble: dict[str, str] = Field(default_factory=dict, max_length=TROUBLES_MAX)
    """What this machine has and cannot use now, `docker` or `GPU 0`, and why."""
    away_s: float | None = Field(default=None, ge=0, le=AWAY_S_MAX)
    features: list[str] = Field(default_factory=list, max_length=FEATURES_MAX)
    """What this worker understands beyond the first version: see `Feature`."""
    wanted: WantedReport | None = None
    """What it has done about the state that was last wanted of it."""


class RunVerdict(Wire):
    state: RunState | None = None
    attempt: int | None = None
    """The run's current attempt."""
    verdict: Verdict
    want: Want | None = None
    """What is wanted of the run beside that; only to a worker with the feature `freeze`, or `waiting`."""
    want_by: str | None = None
    """Who wants that, for people to read."""


class HeartbeatReply(Wire):
    """All fields are ours: another server may answer `{}`."""

    protocol: int | None = None
    lease_s: float | None = Field(default=None, gt=0)
    grace_s: float | None = Field(default=None, ge=0)
    heartbeat_s: float | None = Field(default=None, gt=0)
    server_id: str | None = None
    queued: int | None = None
    runs: dict[str, RunVerdict] | None = None
    wanted: Wanted | None = None
    """Only to a worker with the feature `wanted_state`."""
    features: list[str] = Field(default_factory=list)
    """What this server understands beyond the first version: see `Feature`."""


class ClaimRequest(Wire):
    """`POST /workers/{id}/claim`: open until runs are assigned, `wait_s` is over, or the server wants a beat."""

    max: int = Field(default=1, ge=0, le=RUNS_PER_CLAIM_MAX)
    wait_s: float = Field(default=10, ge=0, le=CLAIM_WAIT_S_MAX, allow_inf_nan=False)
    instance_id: Id | None = None
    epoch: int | None = Field(default=None, ge=0, lt=2**53)
    have: list[RunHeld] = Field(default_factory=list, max_length=RUNS_LISTED_MAX)
    """Every unfinished journal row; never answered again."""
    only: list[str] | None = Field(default=None, max_length=RUNS_LISTED_MAX)
    children: Children | None = None
    """Answer it with no other runs than these, and those of `only`."""


class RunHeld(Wire):
    id: str = Field(max_length=256)
    attempt: int


class WorkerView(Wire):
    """A worker as the server knows it."""

    worker_id: str
    state: WorkerState | str
    """As the worker said, or `silent`, `lost`."""
    last_seen: AwareDatetime
    resources: ResourcesReport
    free: ResourcesReport
    """Reported minus what its unreleased attempts hold."""
    tags: list[str] = Field(default_factory=list)
    backends: list[str] = Field(default_factory=list)
    ops: list[str] = Field(default_factory=list)
    trouble: dict[str, str] = Field(default_factory=dict)
    """As the worker reported it: what it has and cannot use now, and why."""
    running_ops: list[RunningOpReport] = Field(default_factory=list)
    hostname: str | None = None
    version: str | None = None
    max_runs: int | None = None
    reserved: str | None = None
    """For which run it is kept free of others, and since when."""
    wanted: WantedView | None = None


class Health(Wire):
    status: str
    version: str
    protocol: int | None = None
    server_id: str | None = None
    server_time: AwareDatetime | None = None
    role: str | None = None
    """Of the key that the request was sent with; None without one that the server takes."""
