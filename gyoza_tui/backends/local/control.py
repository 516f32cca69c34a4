"""An attempt's control directory: what was asked, who runs it, what it printed, how it ended.

It lies under the worker's state directory, not in the directory that the op is given.
"""

from __future__ import annotations

import json
import marshal
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gyoza_tui.backends import hostile_directory
from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    DiskFull,
    Exit,
    FileRefused,
    State,
    Stream,
    VanishedHandle,
)
from gyoza_tui.backends.local import shim
from gyoza_tui.backends.local.control_files import RememberedAttempt, Started, read_attempt, read_end, read_started
from gyoza_tui.models.limits import KIB, MIB

_SPEC: Final = "spec.json"
_BYTES_MAX: Final = {_SPEC: 16 * MIB, shim.END: 64 * KIB, shim.STARTED: 4 * KIB}
_TEMPORARY: Final = "."
"""A directory of ours that begins with it is being made or removed."""
STREAM_FILES: Final = {Stream.STDOUT: shim.STREAMS[0], Stream.STDERR: shim.STREAMS[1]}


class Control:
    """One control directory; it need not exist. Each of its files may be cut, empty or something else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path, attempt: RememberedAttempt, launch: dict[str, Any]) -> Control:
        """Make it whole or not at all; one already there stays as it is. Raises DiskFull, BackendError."""
        new = path.with_name(f"{_TEMPORARY}new-{path.name}-{secrets.token_hex(4)}")
        try:
            new.mkdir(mode=0o700, parents=True)
            shim.write_file(str(new / _SPEC), json.dumps(attempt._asdict()).encode())
            for name in shim.STREAMS:
                (new / name).touch(mode=0o600)
            shim.write_file(str(new / shim.LAUNCH), marshal.dumps(launch))
            shim.sync_file(str(new))
            with suppress(OSError):  # it is there already: `attempt()` tells whose it is
                new.rename(path)
            shim.sync_file(str(path.parent))
        except OSError as error:
            raise DiskFull.of(error, path) or BackendError(f"the control directory {path}: {error.strerror}") from None
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return cls(path)

    def attempt(self) -> RememberedAttempt:
        """Raises VanishedHandle."""
        try:
            spec = self._read(_SPEC)
            if spec is not None:
                return read_attempt(spec, self.path.name)
        except (FileRefused, ValueError) as error:
            raise VanishedHandle(f"the file {self.path / _SPEC} is damaged: {_why(error)}") from None
        raise VanishedHandle(f"the attempt's control directory {self.path} is gone")

    def state(self) -> State:
        """How it stands. A shim that was stopped by a signal is made to go on, for only it can record the end."""
        if (end := self._end()) is not None:
            return end
        started = self._started()
        if started is None:
            return AttemptPhase.CREATED if (self.path / _SPEC).exists() else AttemptPhase.GONE
        if pid := _alive(started):
            shim.go_on(pid)
            return AttemptPhase.RUNNING
        # Written just before the shim ended? Only what is missing now was never written.
        if (end := self._end()) is not None:
            return end
        if started.damage:
            return _not_known(f"the file {shim.STARTED} of its control directory is damaged: {started.damage}")
        rebooted = started.boot != shim.boot_id()
        return _not_known("the machine was restarted" if rebooted else "the process that watched over it was killed")

    def shim_pid(self) -> int:
        """The shim's pid while it runs; else 0."""
        started = self._started()
        return _alive(started) if started is not None else 0

    def started_at(self) -> float | None:
        """UTC seconds at which the shim took the attempt; None when none did."""
        try:
            return (self.path / shim.STARTED).stat().st_mtime
        except OSError:
            return None

    def started_by(self) -> int:
        """The pid that the shim had, whoever has it now; 0 when it was never started, or that is not known."""
        started = self._started()
        return started.pid if started is not None else 0

    def remove(self) -> None:
        """Remove it: gone at once for everybody, then from the disk."""
        grave = self.path.with_name(f"{_TEMPORARY}old-{self.path.name}-{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):
            self.path.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    def _read(self, name: str) -> bytes | None:
        """None when there is none. Raises FileRefused, BackendUnavailable."""
        return hostile_directory.fetch(self.path, name, _BYTES_MAX[name]) if self.path.is_dir() else None

    def _started(self) -> Started | None:
        try:
            started = self._read(shim.STARTED)
            return None if started is None else read_started(started)
        except (FileRefused, ValueError) as error:
            pid = shim.shim_of(str(self.path))
            return Started(shim.boot_id(), pid, shim.alive_since(pid) or 0, _why(error))

    def _end(self) -> Exit | None:
        try:
            end = self._read(shim.END)
            return None if end is None else read_end(end)
        except (FileRefused, ValueError) as error:
            return _not_known(f"the file {shim.END} of its control directory is damaged: {_why(error)}")


def _alive(started: Started) -> int:
    """The pid of the shim while it runs; else 0."""
    there = started.boot == shim.boot_id() and shim.alive_since(started.pid) == started.since
    return started.pid if there else 0


def _not_known(why: str) -> Exit:
    return Exit(code=None, machine_fault=f"how the op ended is not known: {why}")


def _why(error: FileRefused | ValueError) -> str:
    return f"it {error.why}" if isinstance(error, FileRefused) else str(error)


def controls(root: Path) -> list[Control]:
    """All attempts under `root`."""
    try:
        named = [path for path in root.iterdir() if not path.name.startswith(_TEMPORARY)]
        return [Control(path) for path in named if stat.S_ISDIR(path.lstat().st_mode)]
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
