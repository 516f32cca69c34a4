"""The Backend protocol on processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any, ClassVar, Final

from gyoza_tui.backends import hostile_directory
from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendBroken,
    BackendError,
    BackendOptions,
    BackendUnavailable,
    Capabilities,
    FoundAttempt,
    Handle,
    ImageNotFound,
    Output,
    PullProgress,
    Resume,
    Spec,
    State,
    Usage,
    VanishedHandle,
)
from gyoza_tui.backends.directory_size import allocated
from gyoza_tui.backends.local import cgroups, freezing
from gyoza_tui.backends.local.control import Control, controls, remains
from gyoza_tui.backends.local.creation import Creation
from gyoza_tui.backends.local.launcher import Launcher
from gyoza_tui.backends.local.ops import LocalOp
from gyoza_tui.backends.local.output import FileOutput
from gyoza_tui.backends.local.processes import mark_of
from gyoza_tui.backends.local.starting import start
from gyoza_tui.backends.local.stopping import stop, stop_tree
from gyoza_tui.backends.local.usage import UsageMeter
from gyoza_tui.backends.local.waiting import wait
from gyoza_tui.models.images import LOCAL
from gyoza_tui.models.nested import MaySubmit

_REMAINS_S: Final = 60.0
_COLLECT_S: Final = 2.0
_PROBE_S: Final = 30.0


class LocalBackend:
    """Runs the owner's ops, by name, as processes of this machine."""

    name: ClassVar[str] = LOCAL

    def __init__(self, options: BackendOptions, ops: Mapping[str, LocalOp]) -> None:
        self._root = options.state_dir / "local"
        self._ops = ops
        prefix = f"gyoza-{options.instance_id}"
        self._prefix = prefix
        self._usable_cgroups: cgroups.Cgroups | None = None if self._ops else cgroups.Cgroups({})
        self._trying_cgroups = Lock()
        self._creation = Creation(options, self._ops, self._cgroups, self._root, prefix)
        self._launcher = Launcher(self._root)
        self._usage = UsageMeter()

    @property
    def capabilities(self) -> Capabilities:
        limits = self._creation.limits_in_words()
        return Capabilities(
            separate_streams=True, usage=True, limits=limits, survives_worker=True, gpus=True, freezes=True
        )

    def _cgroups(self) -> cgroups.Cgroups:
        """Tried out when they are first wanted, for that takes a process."""
        with self._trying_cgroups:
            if self._usable_cgroups is None:
                self._usable_cgroups = cgroups.find_cgroups(f"{self._prefix}-probe")
            return self._usable_cgroups

    def check(self) -> None:
        """Raise BackendUnavailable when control directories cannot be made."""
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackendUnavailable(f"{self._root}: {error.strerror}") from None
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise BackendUnavailable(f"{self._root} is not writable")

    def probe(self, spec: Spec) -> None:
        """A cgroup is made and the interpreter of the shim is started."""
        self.check()
        try:
            groups = self._cgroups().make(f"{self._prefix}-{spec.name}", cgroups.Limits(64, 1, 16))
        except OSError as error:
            raise BackendBroken(f"no cgroup can be made: {error.strerror}") from None
        cgroups.remove(groups)
        try:
            subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True, timeout=_PROBE_S, env={}, cwd="/")
        except (OSError, subprocess.SubprocessError) as error:
            raise BackendBroken(f"no process can be started: {error}") from None

    def gpu_trouble(self) -> str | None:
        return None

    def disks(self) -> tuple[Path, ...]:
        return ()

    def refuses(self, image: str, volumes: Mapping[str, str]) -> str | None:
        if image not in self._ops:
            return f"local://{image} is not in this worker's list of ops"
        if volumes:
            return f"local://{image} runs on the host itself: it takes no volumes"
        return None

    def ops(self) -> tuple[str, ...]:
        return tuple(sorted(self._ops))

    def op_dir(self, run_dir: Path) -> str:
        return str(run_dir)

    @property
    def shares_op_dir(self) -> bool:
        return True

    def may_submit(self, image: str) -> MaySubmit:
        return self._ops[image].may_submit if image in self._ops else MaySubmit.NO

    def image_id(self, image: str) -> str | None:
        """The digest of the owner's entry."""
        return self._ops[image].digest if image in self._ops else None

    def pull(self, image: str, on_progress: Callable[[PullProgress], None], cancel: Event) -> None:
        """There is nothing to fetch; an op that is not listed is an image that is not there."""
        if image not in self._ops:
            raise ImageNotFound(f"local://{image} is not in this worker's list of ops")

    def create(self, spec: Spec) -> Handle:
        control = self._creation.make(spec)
        known = control.attempt()
        if dict(known.labels) != dict(spec.labels) or known.run_dir != str(spec.run_dir):
            raise BackendError(f"the name {spec.name} is held by another attempt: {known.labels}")
        return {"name": spec.name, "run_dir": str(spec.run_dir)}

    def put(self, handle: Handle, files: Mapping[str, bytes]) -> None:
        hostile_directory.put(Path(handle["run_dir"]), files)

    def output(self, handle: Handle, resume: Resume | None) -> Output:
        control = self._control(handle)
        try:
            return FileOutput(
                control.path, resume, lambda: control.state() not in (AttemptPhase.CREATED, AttemptPhase.RUNNING)
            )
        except OSError as error:
            raise VanishedHandle(f"the output of {handle['name']} is gone: {error.strerror}") from None

    def start(self, handle: Handle) -> None:
        start(self._control(handle), self._launcher)

    def verify(self, handle: Handle) -> None:
        """A local op is made with nothing that could be replaced."""

    def wait(self, handle: Handle, timeout_s: float) -> State:
        return wait(self._control(handle), timeout_s)

    def state(self, handle: Handle) -> State:
        return self._control(handle).state()

    def started_at(self, handle: Handle) -> float | None:
        return self._control(handle).started_at()

    def stop(self, handle: Handle, grace_s: float) -> None:
        stop(self._control(handle), self._reach, grace_s)

    def freeze(self, handle: Handle) -> None:
        control = self._control(handle)
        freezing.freeze(control, *self._reach(control))

    def thaw(self, handle: Handle) -> None:
        control = self._control(handle)
        freezing.thaw(control, *self._reach(control))

    def usage(self, handle: Handle) -> Usage:
        return self._usage.read(handle["name"], self._control(handle).shim_pid())

    def owner(self, pid: int, handles: Sequence[Handle]) -> int | None:
        if (mark := mark_of(pid)) is not None:
            for place, handle in enumerate(handles):
                with suppress(VanishedHandle):
                    if self._control(handle).attempt().mark == mark:
                        return place
        return None

    def written(self, handle: Handle) -> Mapping[Path, int]:
        """What it printed and was not read yet, mostly."""
        return {self._root: allocated(self._control(handle).path)}

    def fetch(self, handle: Handle, name: str, limit: int) -> bytes | None:
        return hostile_directory.fetch(Path(handle["run_dir"]), name, limit)

    def renewed(self, handle: Handle) -> Handle:
        return handle

    def describe(self, handle: Handle) -> dict[str, Any]:
        control = self._control(handle)
        attempt = control.attempt()
        return {
            "name": attempt.name,
            "op": f"local://{attempt.op}",
            "command": list(attempt.argv),
            "directory": attempt.cwd,
            "environment": dict.fromkeys(attempt.env_names, "***"),
            "limits": attempt.limits,
            "cgroups": list(attempt.groups),
            "labels": dict(attempt.labels),
            "state": str(control.state()),
            "watched_by_pid": control.shim_pid() or None,
        }

    def shell(self, handle: Handle) -> tuple[str, ...]:
        cwd = self._control(handle).attempt().cwd
        return ("/bin/sh", "-c", 'cd "$1" && exec "${SHELL:-/bin/sh}"', "sh", cwd)

    def frozen(self, labels: Mapping[str, str]) -> frozenset[str]:
        alike = (control for control in controls(self._root) if _has(control, labels))
        return frozenset(control.path.name for control in alike if freezing.is_frozen(control, self._reach(control)[1]))

    def find(self, labels: Mapping[str, str]) -> list[FoundAttempt]:
        self._launcher.collect()
        seen = (_found(control) for control in controls(self._root))
        wanted = labels.items()
        return [found for found in seen if found and (found.trouble or wanted <= found.labels.items())]

    def remove(self, handle: Handle) -> None:
        control = self._control(handle)
        self._usage.forget(handle["name"])
        if not control.path.exists():
            return
        mark, groups = self._reach(control)
        if control.state() is not AttemptPhase.CREATED:
            # Nothing but a killed shim leaves processes behind; they must not outlive what is known of them.
            stop_tree(mark, control.shim_pid, groups, 0.0)
        self._launcher.collect(_COLLECT_S, control.started_by())
        control.remove()
        cgroups.remove(groups)

    def prune(self, labels: Mapping[str, str]) -> int:
        """Remove what a crash left half made or half removed: directories and cgroups of no attempt."""
        pruned = 0
        for path in remains(self._root, time.time() - _REMAINS_S):
            Control(path).remove()
            pruned += 1
        known: set[str] = set()
        for control in controls(self._root):
            with suppress(VanishedHandle):
                known.update(control.attempt().groups)
        for group in set(self._cgroups().left(self._prefix)) - known:
            with suppress(OSError):
                if time.time() - os.stat(group).st_mtime > _REMAINS_S:
                    os.rmdir(group)
                    pruned += 1
        return pruned

    def close(self) -> None:
        """Nothing is held open."""

    def _reach(self, control: Control) -> tuple[str, list[str]]:
        """By what the processes of an attempt are found: its mark, unknown when it cannot be read, and its cgroups."""
        try:
            attempt = control.attempt()
        except VanishedHandle:
            own = f"{self._prefix}-{control.path.name}"
            return "", [group for group in self._cgroups().left(own) if os.path.basename(group) == own]
        return attempt.mark, list(attempt.groups)

    def _control(self, handle: Handle) -> Control:
        return Control(self._root / handle["name"])


def _has(control: Control, labels: Mapping[str, str]) -> bool:
    """Whether it is known to carry all of these."""
    with suppress(VanishedHandle):
        return labels.items() <= control.attempt().labels.items()
    return False


def _found(control: Control) -> FoundAttempt | None:
    """None for one that is being removed."""
    try:
        attempt = control.attempt()
    except VanishedHandle as error:
        name = control.path.name
        return FoundAttempt(name, {"name": name}, {}, control.state(), str(error)) if control.path.exists() else None
    handle = {"name": attempt.name, "run_dir": attempt.run_dir}
    return FoundAttempt(attempt.name, handle, attempt.labels, control.state())
