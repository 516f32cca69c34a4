"""From a Spec and the owner's entry to a control directory."""

from __future__ import annotations

import os
import pwd
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import BackendOptions, BackendUnavailable, ImageNotFound, NotExecutable, Spec
from gyoza_tui.backends.local.cgroups import Cgroups, Limits, remove
from gyoza_tui.backends.local.control import Control
from gyoza_tui.backends.local.control_files import RememberedAttempt
from gyoza_tui.backends.local.environment import environment, refused
from gyoza_tui.backends.local.ops import LocalOp
from gyoza_tui.models.limits import MIB

_OOM_SCORE_ADJ: Final = 500
"""When the machine runs out of memory an op goes before the worker does."""


class Creation:
    def __init__(
        self,
        options: BackendOptions,
        ops: Mapping[str, LocalOp],
        cgroups: Callable[[], Cgroups],
        root: Path,
        prefix: str,
    ) -> None:
        self._options = options
        self._ops = ops
        self._cgroups = cgroups
        self._root = root
        self._prefix = prefix

    def limits_in_words(self) -> str:
        """Which limits are enforced, and by what."""
        by = self._cgroups().controllers
        words = [f"{name} (cgroup)" for name in by]
        if "memory" not in by:
            words.insert(0, "memory (rlimit, per process)")
        missing = [name for name in ("cpu", "pids") if name not in by]
        return ", ".join(words) + (f"; not {' nor '.join(missing)}" if missing else "")

    def make(self, spec: Spec) -> Control:
        """The attempt's control directory: made now, or as an earlier call made it."""
        control = Control(self._root / spec.name)
        if control.path.exists():
            return control
        op = self._allowed(spec)
        limits = Limits(spec.constraints.ram_mb, spec.constraints.cpu_tenths or None, self._options.pids_limit)
        try:
            groups = self._cgroups().make(f"{self._prefix}-{spec.name}", limits)
        except OSError as error:
            raise BackendUnavailable(f"the cgroup of {spec.name} cannot be made: {error.strerror}") from None
        try:
            return self._write(control.path, spec, op, groups)
        except BaseException:
            remove(groups)
            raise

    def _allowed(self, spec: Spec) -> LocalOp:
        op = self._ops.get(spec.image)
        if op is None:
            raise ImageNotFound(f"local://{spec.image} is not in this worker's list of ops")
        if spec.command is not None:
            raise NotExecutable(f"local://{op.name} is a command of this worker's owner: a run brings none of its own")
        if spec.volumes:
            raise NotExecutable(f"local://{op.name} runs on the host itself: it takes no volumes")
        if names := refused(spec.env):
            raise NotExecutable(
                f"local://{op.name} runs on the host itself: a run may not set {', '.join(names)} there"
            )
        return op

    def _write(self, path: Path, spec: Spec, op: LocalOp, groups: list[str]) -> Control:
        values = {
            "run_dir": str(spec.run_dir),
            "worker_id": self._options.worker_id,
            "gpu": str(spec.gpu.index) if spec.gpu else "",
        }
        mark = secrets.token_hex(16)
        env = environment(
            home=_home(),
            run=spec.env,
            owner={name: op.render(text, values) for name, text in op.env.items()},
            gpu=spec.gpu,
            mark=mark,
        )
        argv = tuple(op.render(arg, values) for arg in op.command)
        cwd = op.render(op.cwd, values) if op.cwd else str(spec.run_dir)
        memory_mb = spec.constraints.ram_mb
        data_bytes = memory_mb * MIB if memory_mb and "memory" not in self._cgroups().parents else 0
        attempt = RememberedAttempt(
            name=spec.name,
            op=op.name,
            run_dir=str(spec.run_dir),
            cwd=cwd,
            argv=argv,
            env_names=tuple(sorted(env)),
            labels=dict(spec.labels),
            mark=mark,
            groups=tuple(groups),
            limits=self.limits_in_words(),
        )
        launch = {
            "argv": list(argv),
            "env": env,
            "cwd": cwd,
            "mark": mark,
            "groups": groups,
            "data_bytes": data_bytes,
            "oom_score_adj": _OOM_SCORE_ADJ,
        }
        return Control.make(path, attempt, launch)


def _home() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"
