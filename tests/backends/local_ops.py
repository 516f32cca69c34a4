"""A local backend on ops that a test writes as Python, and the words to run them with."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gyoza_tui.backends.base import BackendOptions, Exit, Handle, Label, Output, Resume, Spec, Stream
from gyoza_tui.backends.local.backend import LocalBackend
from gyoza_tui.backends.local.ops import read_ops
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def python(code: str) -> list[str]:
    """The command of an op that runs this Python, its braces escaped for the template."""
    return [sys.executable, "-I", "-S", "-c", code.replace("{", "{{").replace("}", "}}")]


@dataclass
class Collected:
    """An output, read by a thread."""

    output: Output
    data: dict[Stream, bytearray] = field(default_factory=lambda: {stream: bytearray() for stream in Stream})

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for chunk in self.output:
            self.data[chunk.stream] += chunk.data

    def end(self) -> bytes:
        """All of stdout, once the output has ended by itself."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "the output does not end"
        return bytes(self.data[Stream.STDOUT])

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()


class Bench:
    """One worker's state directory with its local backend."""

    def __init__(self, root: Path, ops: Mapping[str, list[str]] | None = None, toml: str = "") -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        listed = "".join(f"[ops.{name}]\ncommand = {json.dumps(command)}\n" for name, command in (ops or {}).items())
        (root / "ops.toml").write_text(listed + toml)
        self.options = BackendOptions(
            worker_id="w", instance_id=f"test-{os.getpid()}", state_dir=root / "state", ops_file=root / "ops.toml"
        )
        self.backend = self.another()
        self._count = 0

    def another(self) -> LocalBackend:
        """As of the worker's next start."""
        assert self.options.ops_file is not None
        return LocalBackend(self.options, read_ops(self.options.ops_file))

    def spec(
        self,
        op: str,
        *,
        env: Mapping[str, str] | None = None,
        ram_mb: int | None = None,
        cpu: float | None = None,
        gpu: GpuInfo | None = None,
        name: str = "",
        command: tuple[str, ...] | None = None,
    ) -> Spec:
        self._count += 1
        name = name or f"gyoza-run{self._count}-1-{self.root.name[-8:]}"
        run_dir = self.root / "runs" / name
        run_dir.mkdir(parents=True, exist_ok=True)
        return Spec(
            name=name,
            image=op,
            run_dir=run_dir,
            command=command,
            env=env or {},
            labels={Label.RUN: name, Label.WORKER: "w"},
            constraints=Constraints(ram_mb=ram_mb, cpu=cpu),
            gpu=gpu,
        )

    def create(self, op: str, **spec: object) -> Handle:
        return self.backend.create(self.spec(op, **spec))  # type: ignore[arg-type]

    def collect(self, handle: Handle, resume: Resume | None = None) -> Collected:
        return Collected(self.backend.output(handle, resume))

    def run(self, op: str, **spec: object) -> tuple[Exit, bytes, Handle]:
        """Run it to its end: the exit, stdout, and the handle, not yet removed."""
        handle = self.create(op, **spec)
        collected = self.collect(handle)
        self.backend.start(handle)
        ended = self.ended(handle)
        return ended, collected.end(), handle

    def ended(self, handle: Handle, timeout_s: float = 30) -> Exit:
        state = self.backend.wait(handle, timeout_s)
        assert isinstance(state, Exit), state
        return state

    def control(self, handle: Handle) -> Path:
        return self.root / "state" / "local" / str(handle["name"])

    def mark_of(self, handle: Handle) -> str:
        mark: str = json.loads((self.control(handle) / "spec.json").read_text())["mark"]
        return mark

    def clear(self) -> None:
        """Stop and remove all: what every test ends with. Nothing may be left of any attempt."""
        for found in self.backend.find({}):
            self.backend.stop(found.handle, 0)
            self.backend.remove(found.handle)
        left = [path.name for path in (self.root / "state" / "local").glob("*") if not path.name.endswith(".pyc")]
        assert left == [], left
        groups = (group for _, names, _ in os.walk("/sys/fs/cgroup") for group in names)  # while others' go away
        assert [group for group in groups if group.startswith(f"gyoza-test-{os.getpid()}-")] == []
