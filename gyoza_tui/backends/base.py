"""The Backend protocol: all that the worker knows of what runs its ops.

A backend is synchronous and thread-safe. Every method is idempotent: the worker repeats calls after a crash. What a
backend must remember of an attempt is in its `Handle`, which the worker journals as JSON without looking inside.

Every method that takes a handle raises AttemptElsewhere where the attempt is not found because another engine answers
than the one that it was made on.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Protocol, TypeAlias

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.failures import FailureReason
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.nested import MaySubmit

Handle: TypeAlias = dict[str, Any]
"""What a backend must remember of one attempt: JSON, opaque to everybody else."""


class Label(StrEnum):
    """The labels that every container, volume and process of ours carries; `find` looks them up."""

    WORKER = "gyoza.worker"
    INSTANCE = "gyoza.instance"
    """The state directory's uuid."""
    SERVER = "gyoza.server"
    RUN = "gyoza.run"
    ATTEMPT = "gyoza.attempt"
    LEASE = "gyoza.lease"
    OWNER = "gyoza.owner"
    """The process, where no worker will come back for it."""


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


class Chunk(NamedTuple):
    """Output bytes as they came."""

    stream: Stream
    data: bytes
    note: str | None = None
    """Set, with empty data: what happened to the op or its output at this place, as a message for the log."""


class StreamMark(NamedTuple):
    """Where the spool stands in one stream."""

    size: int = 0
    """Bytes spooled of it."""
    tail: bytes = b""
    """The last bytes spooled of it, up to 4 KiB."""
    first_at: float | None = None
    """UTC seconds at which the first and the last spooled chunk were read."""
    last_at: float | None = None


Resume: TypeAlias = Mapping[Stream, StreamMark]
"""What the spool already holds; the output goes on behind it, without gap or repeat."""


class Output(Protocol):
    """An open output. Iterating blocks until bytes come and ends with the stream; `close` from any thread wakes it.

    Iteration ends quietly when the op has ended, when it was restarted from outside and when the engine was lost:
    `Backend.wait` tells which.
    """

    def __iter__(self) -> Iterator[Chunk]: ...

    def covers(self, end: Exit) -> bool:
        """Whether all output of an op that ended so was given, once the iteration is over."""

    def close(self) -> None: ...


class Exit(NamedTuple):
    """How an attempt ended here."""

    code: int | None
    """The op's own exit code; None when it could not be learnt."""
    signal: str | None = None
    """`SIGKILL` and the like, when a signal ended it."""
    from_outside: bool = False
    """That signal was sent by another program, as by `docker stop`, and not by the op to itself."""
    oom: bool = False
    """The op itself was killed for memory. A child killed for memory with exit 0 is a warning, not this."""
    warning: str | None = None
    not_executable: str | None = None
    """The op's command never ran, in words: an init inside the container tells it only after a start that succeeded."""
    machine_fault: str | None = None
    """Why this end is not the op's (engine stopped, machine rebooted), in words."""
    doubt: str | None = None
    """Why exit 0 may be no success: the engine stopped the op. An op that left outputs has succeeded all the same."""
    started_at: float | None = None
    """UTC seconds."""
    finished_at: float | None = None


class AttemptPhase(StrEnum):
    """What `state` says while there is no Exit."""

    CREATED = "created"
    RUNNING = "running"
    GONE = "gone"


State: TypeAlias = AttemptPhase | Exit


@dataclass(frozen=True, slots=True)
class Spec:
    """One attempt, as a backend is asked to make it."""

    name: str
    """Unique per (run, attempt, lease): `gyoza-<run>-<attempt>-<lease, 8 characters>`."""
    image: str
    """Without its scheme."""
    run_dir: Path
    """The attempt's own directory on this machine, made before and removed after by the worker."""
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    constraints: Constraints = field(default_factory=Constraints)
    gpu: GpuInfo | None = None
    """The one GPU that the attempt may see; None: it sees none."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Host path → path in the container."""


class PullProgress(NamedTuple):
    """A pull so far. Bytes are of layers whose size is known."""

    bytes_done: int = 0
    bytes_total: int | None = None
    layers_done: int = 0
    layers_total: int = 0
    waits_for: str = ""
    """What of this machine has to answer first, as a credential helper."""


class Usage(NamedTuple):
    """What one attempt uses now; None where the backend cannot tell."""

    cpu_percent: float | None = None
    """100 is one core."""
    memory_mb: float | None = None
    processes: int | None = None


class FoundAttempt(NamedTuple):
    """An attempt of ours that the backend knows."""

    name: str
    handle: Handle
    labels: Mapping[str, str]
    state: State
    trouble: str | None = None
    """Why the backend cannot read it, in words; then its labels and its state may be missing or wrong."""


class Capabilities(NamedTuple):
    separate_streams: bool
    usage: bool
    limits: str
    """Which limits it enforces, in words: `cpu, memory (cgroup), pids`."""
    survives_worker: bool
    gpus: bool
    freezes: bool
    """Whether `freeze` and `thaw` do anything."""


class BackendOptions(NamedTuple):
    """What the worker's owner decided about every op on this machine; a run never loosens any of it."""

    worker_id: str
    instance_id: str
    state_dir: Path
    ops_file: Path | None = None
    """The owner's list of local ops."""
    allow_volumes: tuple[Path, ...] = ()
    """Host paths under which a run may mount a volume."""
    docker_network: str = "bridge"
    docker_cap_add: tuple[str, ...] = ()
    """Capabilities left to containers, all others are dropped; `ALL` keeps the engine's default set."""
    docker_new_privileges: bool = False
    docker_io: str = "auto"
    """How `/gyoza` gets into a container: auto, bind, volume."""
    pids_limit: int = 4096
    shm_mb: int = 1024
    container_log_mb: int = 512
    """What the engine keeps of a container's output, for taking it up again after a crash."""


class BackendError(Exception):
    """Something the backend could not do. `str()` is a message to a person."""

    reason: ClassVar[FailureReason] = FailureReason.INTERNAL


class BackendUnavailable(BackendError):
    """The engine does not answer: the machine's fault. Worth trying again later."""

    reason = FailureReason.BACKEND_UNAVAILABLE


class BackendBroken(BackendUnavailable):
    """The engine answers and cannot do its work."""


class StartRefused(BackendError):
    """The engine does not make or start this attempt. Whose fault that is a probe finds out."""

    def __init__(self, message: str, *, machines_fault: bool = False) -> None:
        super().__init__(message)
        self.machines_fault = machines_fault
        """Whether it is surely this machine's, whatever a probe finds a moment later."""


class ImageNotFound(BackendError):
    """No such image, neither here nor in its registry. Trying again does not help."""

    reason = FailureReason.IMAGE_NOT_FOUND


class PullFailed(BackendError):
    """The image could not be fetched."""

    reason = FailureReason.IMAGE_PULL_FAILED

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class PullCancelled(BackendError):
    """`cancel` was set while pulling."""


class NotExecutable(BackendError):
    """The op's command cannot be started: missing, no permission, wrong architecture."""

    reason = FailureReason.NOT_EXECUTABLE


_FULL: Final = {errno.ENOSPC: "the disk of {} is full", errno.EDQUOT: "the quota on the disk of {} is used up"}


class DiskFull(BackendError):
    reason = FailureReason.DISK_FULL

    @classmethod
    def of(cls, error: BaseException, place: Path | str) -> DiskFull | None:
        """What it means when something under `place` could not be written; None where it was not for want of room."""
        if not isinstance(error, OSError) or error.errno not in _FULL:
            return None
        return cls(f"{_FULL[error.errno].format(place)}: free some space there")


class VanishedHandle(BackendError):
    """The container or process behind a handle is gone."""

    reason = FailureReason.BACKEND_RESTARTED


class AttemptElsewhere(BackendError):
    """The attempt is on another engine than the one that answers now: it may go on there, and is out of reach."""

    reason = FailureReason.BACKEND_UNAVAILABLE


class FileRefused(Exception):
    """A file that an op left and that is not taken. `str()` names it and says why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.why = why
        """Goes on after the file's name: `is a link, not a regular file`."""


class Backend(Protocol):
    @property
    def name(self) -> str:
        """The scheme: `docker`, `local`."""

    @property
    def capabilities(self) -> Capabilities: ...

    def check(self) -> None:
        """Raise BackendUnavailable with words when it cannot take work now. Takes at most 5 s."""

    def probe(self, spec: Spec) -> None:
        """Start something that ends at once, with the limits, the network and the GPU that an attempt would have.

        Raises BackendError with the reason when nothing can be started. Leaves nothing, but where the engine fails
        while it cleans up: then a later probe of the same name, or `find` by the labels, meets what is left.
        `spec.image` need not be on this machine, and `spec.command` is not run.
        """

    def gpu_trouble(self) -> str | None:
        """Why its ops get none of this machine's GPUs, in words; None when they do. Raises BackendUnavailable."""

    def disks(self) -> tuple[Path, ...]:
        """The directories of this machine that images and containers fill; cheap, and empty while unknown."""

    def refuses(self, image: str, volumes: Mapping[str, str]) -> str | None:
        """Why this machine will never run that (no such local op, a volume not allowed); None when it may."""

    def ops(self) -> tuple[str, ...]:
        """The owner's ops by name, for a backend that has such a list."""

    def op_dir(self, run_dir: Path) -> str:
        """The path at which the op sees `run_dir`: `/gyoza` in a container."""

    @property
    def shares_op_dir(self) -> bool:
        """Whether what `op_dir` names is the run's directory itself, so that a socket in it reaches the op."""

    def may_submit(self, image: str) -> MaySubmit:
        """What the owner of this machine lets a run of that create; without a say about it, anything."""

    def image_id(self, image: str) -> str | None:
        """The digest or id of the image when it is on this machine."""

    def pull(self, image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
        """Fetch the image once. Raises ImageNotFound, PullFailed, PullCancelled, DiskFull, BackendUnavailable."""

    def create(self, spec: Spec) -> Handle:
        """Make the attempt without starting it; one of ours with that name is taken over.

        Raises ImageNotFound, NotExecutable, StartRefused, DiskFull, BackendUnavailable, and BackendError for a name
        held by something that is not this attempt.
        """

    def put(self, handle: Handle, files: Mapping[str, bytes]) -> None:
        """Write files into the op's directory, before the start. Names are plain."""

    def output(self, handle: Handle, resume: Resume | None) -> Output:
        """Open the output: before the start with None, later behind what the spool holds."""

    def start(self, handle: Handle) -> None:
        """Start it; one already started is left alone.

        Raises NotExecutable, StartRefused, VanishedHandle, BackendUnavailable.
        """

    def verify(self, handle: Handle) -> None:
        """Just after the start: BackendError, with the attempt killed, when it has not what it was made with."""

    def wait(self, handle: Handle, timeout_s: float) -> State:
        """Wait for the end, at most `timeout_s`; then the state as it is by now. Raises BackendUnavailable."""

    def state(self, handle: Handle) -> State:
        """Raises BackendUnavailable when that cannot be known now."""

    def started_at(self, handle: Handle) -> float | None:
        """UTC seconds; None when it was never started or is gone. Raises BackendUnavailable."""

    def stop(self, handle: Handle, grace_s: float) -> None:
        """SIGTERM, `grace_s`, SIGKILL, to every process of the attempt, frozen or not; returns when all are gone."""

    def freeze(self, handle: Handle) -> None:
        """Pause every process of the attempt; returns when all are. One that does not run is left alone.

        Raises BackendUnavailable where that is not so yet.
        """

    def thaw(self, handle: Handle) -> None:
        """Let them go on; returns when they do. One that is not frozen is left alone. Raises BackendUnavailable."""

    def usage(self, handle: Handle) -> Usage: ...

    def owner(self, pid: int, handles: Sequence[Handle]) -> int | None:
        """The place among `handles` of the attempt that a process of this machine belongs to; None for no such one."""

    def written(self, handle: Handle) -> Mapping[Path, int]:
        """Bytes that the attempt takes of a disk of this machine outside its directory, by a directory of that disk.

        Empty where that is not on this machine. Raises VanishedHandle, BackendUnavailable.
        """

    def fetch(self, handle: Handle, name: str, limit: int) -> bytes | None:
        """One regular file of the op's directory; None when there is none.

        Never follows a link. Raises FileRefused for anything that is not a regular file, is larger than `limit` bytes,
        or changed while it was read.
        """

    def renewed(self, handle: Handle) -> Handle:
        """The handle of an attempt that is here, with what an older version did not note in it."""

    def describe(self, handle: Handle) -> dict[str, Any]:
        """The engine's own view of the attempt, for a person, with the values of its environment masked."""

    def shell(self, handle: Handle) -> tuple[str, ...]:
        """The argv that opens a shell where the op runs."""

    def frozen(self, labels: Mapping[str, str]) -> frozenset[str]:
        """The names of the attempts with all of these labels that are frozen, by us or from outside; cheap."""

    def find(self, labels: Mapping[str, str]) -> list[FoundAttempt]:
        """Every attempt that carries all of these labels, and those whose labels cannot be read.

        One that cannot be read has its `trouble`, and hides no other.
        """

    def remove(self, handle: Handle) -> None:
        """Remove an ended or never started attempt and all that the backend made for it."""

    def prune(self, labels: Mapping[str, str]) -> int:
        """Remove what carries these labels and belongs to no attempt any more; how many."""

    def close(self) -> None:
        """Let go of sockets. Attempts go on."""
