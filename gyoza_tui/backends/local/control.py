"""An attempt's control directory: what was asked, who runs it, what it printed, how it ended.

It lies under the worker's state directory, not in the directory that the op is given.
"""

from __future__ import annotations

import json
import marshal
import os
import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from gyoza_tui.backends.base import BackendError, DiskFull, Exit, Phase, State, Stream, VanishedHandle
from gyoza_tui.backends.local import shim

_SPEC: Final = "spec.json"
_TEMPORARY: Final = "."
"""A directory of ours that begins with it is being made or removed."""
STREAM_FILES: Final = {Stream.STDOUT: shim.STREAMS[0], Stream.STDERR: shim.STREAMS[1]}


class Attempt(NamedTuple):
    """What is remembered of an attempt for as long as its control directory stands. No value of its environment."""

    name: str
    op: str
    run_dir: str
    cwd: str
    argv: tuple[str, ...]
    env_names: tuple[str, ...]
    labels: dict[str, str]
    mark: str
    groups: tuple[str, ...]
    limits: str


class Control:
    """One control directory; it need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path, attempt: Attempt, launch: dict[str, Any]) -> Control:
        """Make it whole or not at all; one already there stays as it is. Raises DiskFull, BackendError."""
        new = path.with_name(f"{_TEMPORARY}new-{path.name}-{secrets.token_hex(4)}")
        try:
            new.mkdir(mode=0o700, parents=True)
            spec = attempt._asdict()
            (new / _SPEC).write_text(json.dumps(spec))
            for name in shim.STREAMS:
                (new / name).touch(mode=0o600)
            fd = os.open(new / shim.LAUNCH, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "wb") as file:
                marshal.dump(launch, file)
            with suppress(OSError):  # it is there already: `attempt()` tells whose it is
                new.rename(path)
        except OSError as error:
            raise DiskFull.of(error, path) or BackendError(f"the control directory {path}: {error.strerror}") from None
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return cls(path)

    def attempt(self) -> Attempt:
        """Raises VanishedHandle."""
        try:
            spec = json.loads((self.path / _SPEC).read_text())
            for name in ("argv", "env_names", "groups"):
                spec[name] = tuple(spec[name])
            return Attempt(**spec)
        except (OSError, ValueError, TypeError, KeyError):
            raise VanishedHandle(f"the attempt's control directory {self.path} is gone or damaged") from None

    def state(self) -> State:
        if (end := self._end()) is not None:
            return end
        started = self._started()
        if started is None:
            return Phase.CREATED if (self.path / _SPEC).exists() else Phase.GONE
        if self.shim_pid():
            return Phase.RUNNING
        # Written just before the shim ended? Only what is missing now was never written.
        if (end := self._end()) is not None:
            return end
        rebooted = started[0] != shim.boot_id()
        what = "the machine was restarted" if rebooted else "the process that watched over it was killed"
        return Exit(code=None, machine_fault=f"how the op ended is not known: {what}")

    def shim_pid(self) -> int:
        """The shim's pid while it runs; else 0."""
        started = self._started()
        if started is None:
            return 0
        boot, pid, since = started
        return pid if boot == shim.boot_id() and shim.alive_since(pid) == since else 0

    def started_at(self) -> float | None:
        """UTC seconds at which the shim took the attempt; None when none did."""
        try:
            return (self.path / shim.STARTED).stat().st_mtime
        except OSError:
            return None

    def started_by(self) -> int:
        """The pid that the shim had, whoever has it now; 0 when it was never started."""
        started = self._started()
        return started[1] if started else 0

    def remove(self) -> None:
        """Remove it: gone at once for everybody, then from the disk."""
        grave = self.path.with_name(f"{_TEMPORARY}old-{self.path.name}-{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):
            self.path.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    def _started(self) -> tuple[str, int, int] | None:
        try:
            boot, pid, since = (self.path / shim.STARTED).read_text().split()
        except OSError:
            return None
        return boot, int(pid), int(since)

    def _end(self) -> Exit | None:
        try:
            end = json.loads((self.path / shim.END).read_text())
        except OSError:
            return None
        number = end.get("signal")
        return Exit(
            code=end["code"],
            signal=_signal_name(number) if number else None,
            oom=bool(end.get("oom")),
            warning=end.get("warning"),
            not_executable=end.get("not_executable"),
            machine_fault=end.get("machine_fault"),
            started_at=end["started_at"],
            finished_at=end["finished_at"],
        )


def controls(root: Path) -> list[Control]:
    """All attempts under `root`."""
    try:
        return [Control(path) for path in root.iterdir() if not path.name.startswith(_TEMPORARY)]
    except OSError:
        return []


def remains(root: Path, older_than: float) -> list[Path]:
    """Directories whose making or removing was cut off by a crash, not touched since `older_than` (UTC seconds)."""
    found: list[Path] = []
    for path in root.glob(f"{_TEMPORARY}[no][el][wd]-*"):
        with suppress(OSError):
            if path.stat().st_mtime < older_than:
                found.append(path)
    return found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
