"""A backend in memory whose ops do what a test says. It keeps count of everything that must happen once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from gyoza_tui.backends.base import (
    AttemptElsewhere,
    AttemptPhase,
    BackendBroken,
    BackendError,
    BackendUnavailable,
    Capabilities,
    Chunk,
    Exit,
    FoundAttempt,
    Handle,
    Output,
    PullProgress,
    Resume,
    Spec,
    StartRefused,
    State,
    Stream,
    Usage,
)
from gyoza_tui.models.nested import MaySubmit

_OF_ATTEMPT = {"start", "wait", "state", "started_at", "stop", "freeze", "thaw", "fetch", "remove"}


@dataclass
class FakeOp:
    """What one image does: it prints, waits for `go`, and ends."""

    stdout: bytes = b""
    stderr: bytes = b""
    """Arrives before what it prints to stdout."""
    code: int = 0
    doubt: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    go: threading.Event = field(default_factory=threading.Event)
    ends_at_once: bool = True


@dataclass
class FakeContainer:
    spec: Spec
    op: FakeOp
    files: dict[str, bytes] = field(default_factory=dict)
    starts: int = 0
    started_at: float | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    exit: Exit | None = None

    @property
    def state(self) -> State:
        if self.exit is not None:
            return self.exit
        return AttemptPhase.RUNNING if self.starts else AttemptPhase.CREATED


class FakeOutput:
    def __init__(self, container: FakeContainer, resume: Resume) -> None:
        self._container = container
        self._resume = resume
        self._closed: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[Chunk]:
        op = self._container.op
        for stream, printed in ((Stream.STDERR, op.stderr), (Stream.STDOUT, op.stdout)):
            begin = self._resume[stream].size if stream in self._resume else 0
            if data := printed[begin:]:
                yield Chunk(stream, data)
        self._container.ended.wait(30)

    def covers(self, end: Exit) -> bool:
        return True

    def close(self) -> None:
        self._closed.put(None)


class FakeBackend:
    name: ClassVar[str] = "docker"
    capabilities = Capabilities(True, True, "none", survives_worker=True, gpus=False, freezes=True)

    def __init__(self, ops: Mapping[str, FakeOp] | None = None) -> None:
        self.known = dict(ops or {})
        self.containers: dict[str, FakeContainer] = {}
        self.removed: list[str] = []
        self.created: list[str] = []
        self.started: list[str] = []
        self.pulled: list[str] = []
        self.disk: tuple[Path, ...] = ()
        self.paused: set[str] = set()
        """Names of what is frozen, by whomever."""
        self.layers: dict[str, dict[Path, int]] = {}
        """What `written` answers, by the container's name."""
        self.shares_op_dir = True
        self.lets_submit = MaySubmit.ANY
        self.down: str | None = None
        """Set: the engine does not answer, for this reason."""
        self.elsewhere: str | None = None
        """Set: another engine answers, which has none of these attempts."""
        self.fail: dict[str, BackendError] = {}
        """What the next call of a method raises."""
        self.broken: str | None = None
        """Set: the engine answers and starts nothing, for this reason."""
        self.broken_gpus: set[int] = set()
        """With these the engine starts nothing."""
        self.probed: list[Spec] = []
        self.pids: dict[int, str] = {}
        """Whose a process is, by the container's name."""

    def _answer(self, method: str) -> None:
        if self.down:
            raise BackendUnavailable(self.down)
        if self.elsewhere and method in _OF_ATTEMPT:
            raise AttemptElsewhere(self.elsewhere)
        if method in self.fail:
            raise self.fail.pop(method)

    def check(self) -> None:
        self._answer("check")

    def probe(self, spec: Spec) -> None:
        self.probed.append(spec)
        if why := self._starts_nothing(spec):
            raise BackendBroken(why)

    def _starts_nothing(self, spec: Spec) -> str | None:
        if spec.gpu is not None and spec.gpu.index in self.broken_gpus:
            return f"no driver for GPU {spec.gpu.index}"
        return self.broken

    def gpu_trouble(self) -> str | None:
        return None

    def disks(self) -> tuple[Path, ...]:
        return self.disk

    def owner(self, pid: int, handles: Sequence[Handle]) -> int | None:
        names = [handle["name"] for handle in handles]
        return names.index(self.pids[pid]) if self.pids.get(pid) in names else None

    def refuses(self, image: str, volumes: Mapping[str, str]) -> str | None:
        return None if not volumes else "no volumes here"

    def ops(self) -> tuple[str, ...]:
        return ()

    def may_submit(self, image: str) -> MaySubmit:
        return self.lets_submit

    def op_dir(self, run_dir: Path) -> str:
        return "/gyoza"

    def image_id(self, image: str) -> str | None:
        return None

    def pull(self, image: str, on_progress: Callable[[PullProgress], None], cancel: threading.Event) -> None:
        self._answer("pull")
        self.pulled.append(image)

    def create(self, spec: Spec) -> Handle:
        self._answer("create")
        if spec.name not in self.containers:
            self.containers[spec.name] = FakeContainer(spec, self.known[spec.image])
            self.created.append(spec.name)
        return {"name": spec.name}

    def put(self, handle: Handle, files: Mapping[str, bytes]) -> None:
        self._answer("put")
        self._of(handle).files |= files

    def output(self, handle: Handle, resume: Resume | None) -> Output:
        self._answer("output")
        return FakeOutput(self._of(handle), resume or {})

    def start(self, handle: Handle) -> None:
        self._answer("start")
        container = self._of(handle)
        if why := self._starts_nothing(container.spec):
            raise StartRefused(f"refused: {why}")
        if container.starts:
            return
        container.starts += 1
        container.started_at = time.time()
        self.started.append(handle["name"])
        threading.Thread(target=self._live, args=(container,), daemon=True).start()

    def _live(self, container: FakeContainer) -> None:
        if not container.op.ends_at_once:
            container.op.go.wait(60)
        self._end(container, Exit(container.op.code, doubt=container.op.doubt))

    def _end(self, container: FakeContainer, ended: Exit) -> None:
        if container.exit is None:
            container.exit = ended
            container.files |= container.op.files
            container.ended.set()

    def verify(self, handle: Handle) -> None:
        self._answer("verify")

    def wait(self, handle: Handle, timeout_s: float) -> State:
        self._answer("wait")
        if handle["name"] in self.containers:
            self._of(handle).ended.wait(timeout_s)
        return self.state(handle)

    def state(self, handle: Handle) -> State:
        self._answer("state")
        return self._of(handle).state if handle["name"] in self.containers else AttemptPhase.GONE

    def started_at(self, handle: Handle) -> float | None:
        self._answer("started_at")
        return self._of(handle).started_at

    def stop(self, handle: Handle, grace_s: float) -> None:
        self._answer("stop")
        if handle["name"] in self.containers and self._of(handle).starts:
            self._end(self._of(handle), Exit(137, "SIGKILL"))

    def freeze(self, handle: Handle) -> None:
        self._answer("freeze")
        self.paused.add(handle["name"])

    def thaw(self, handle: Handle) -> None:
        self._answer("thaw")
        self.paused.discard(handle["name"])

    def usage(self, handle: Handle) -> Usage:
        return Usage()

    def written(self, handle: Handle) -> Mapping[Path, int]:
        self._answer("written")
        return self.layers.get(handle["name"], {})

    def fetch(self, handle: Handle, name: str, limit: int) -> bytes | None:
        self._answer("fetch")
        return self._of(handle).files.get(name)

    def renewed(self, handle: Handle) -> Handle:
        return handle

    def describe(self, handle: Handle) -> dict[str, Any]:
        return {}

    def shell(self, handle: Handle) -> tuple[str, ...]:
        return ("sh",)

    def frozen(self, labels: Mapping[str, str]) -> frozenset[str]:
        self._answer("frozen")
        return frozenset(self.paused)

    def find(self, labels: Mapping[str, str]) -> list[FoundAttempt]:
        self._answer("find")
        return [
            FoundAttempt(name, {"name": name}, container.spec.labels, container.state)
            for name, container in self.containers.items()
            if labels.items() <= dict(container.spec.labels).items()
        ]

    def remove(self, handle: Handle) -> None:
        self._answer("remove")
        if self.containers.pop(handle["name"], None) is not None:
            self.removed.append(handle["name"])

    def prune(self, labels: Mapping[str, str]) -> int:
        return 0

    def close(self) -> None:
        return

    def _of(self, handle: Handle) -> FakeContainer:
        return self.containers[handle["name"]]
