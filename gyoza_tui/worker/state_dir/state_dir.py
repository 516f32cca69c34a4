"""The state directory of one worker: its lock, its identity, and where everything in it lies."""

from __future__ import annotations

import os
import re
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from filelock import FileLock, Timeout

from gyoza_tui import private_files
from gyoza_tui.worker.state_dir import holder
from gyoza_tui.worker.state_dir.removal import remove_tree
from gyoza_tui.worker.state_dir.reserve import Reserve
from gyoza_tui.worker_dirs import SAFE_NAME, safe_name, worker_dir

_NETWORK_FILESYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs"})
JOURNAL: Final = "journal.db"
_LOOK_S: Final = 0.2
"""Longer than anybody who only looks holds the lock; see `look.py`."""
WORKER_LOG: Final = "worker.log"
_MARKER: Final = ".gyoza-run"
_SOCKET: Final = ".gyoza-sock"
_LOG = re.compile(r"gyoza-(.+)-(\d{1,9})-[^-]{1,8}\.log")
_EPOCH_DIGITS = 15
"""What the server takes: seconds until long after this program."""


class StateDirError(Exception):
    """A state directory that cannot be used; `str()` says why and what to do."""


class StateDirInUse(StateDirError):
    """Another process has it."""

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"the state directory {root} is in use by {holder.holder(root)}; its log is {root / WORKER_LOG}. "
            f"{holder.how_to_end_it(root)}. Or start a second worker with another --worker-id"
        )
        self.root = root


class LogFile(NamedTuple):
    run_id: str
    attempt: int
    path: Path


def attempt_name(run_id: str, attempt: int, lease: str | None) -> str:
    """The name of an attempt's container and directories: `gyoza-<run>-<attempt>-<lease, 8 characters>`."""
    return f"gyoza-{safe_name(run_id)}-{attempt}-{safe_name(lease or 'none')[:8].replace('-', '_')}"


class RunDirs:
    """The attempts' own directories, below one root that lets nobody in but us."""

    def __init__(self, root: Path) -> None:
        self._root = root / "runs"
        private_files.make_directory(self._root)

    def run_dir(self, name: str) -> Path:
        return self._root / name

    def make_run_dir(self, name: str) -> Path:
        """The attempt's directory, open to whatever user the op is; its parent lets nobody in but us."""
        path = self.run_dir(name)
        path.mkdir(exist_ok=True)
        marker = self._marker(name)
        if not marker.exists():
            marker.touch()
        if stat.S_ISDIR(_mode(path)):  # after a restart it may be a link that a local op has put there
            path.chmod(0o777)
        return path

    def remove_run_dir(self, name: str) -> None:
        """Delete an attempt's directory: only inside our root, only with our marker, never through a link."""
        path, marker = self.run_dir(name), self._marker(name)
        if not marker.exists():
            return
        if stat.S_ISDIR(_mode(path)):
            remove_tree(path)
        else:
            path.unlink(missing_ok=True)
        self.socket_of(name).unlink(missing_ok=True)
        marker.unlink(missing_ok=True)

    def socket_of(self, name: str) -> Path:
        """Where the attempt's socket is made before it is moved into its directory."""
        return self._root / (name + _SOCKET)

    def run_dirs(self) -> list[str]:
        """The names of all attempts that have a directory here."""
        return [path.name.removesuffix(_MARKER) for path in self._root.glob("*" + _MARKER)]

    def _marker(self, name: str) -> Path:
        """Beside the directory, where no op can reach it."""
        return self._root / (name + _MARKER)


class StateDir(RunDirs):
    """Held by one process at a time. `instance_id` stays; `epoch` grows at each start."""

    def __init__(self, root: Path, lock: FileLock) -> None:
        super().__init__(root)
        self.root = root
        self._lock = lock
        self.reserve = Reserve(root / "reserve")
        self.reserve.in_room(lambda: holder.note(root, _write))
        self.instance_id = _identity(root / "instance")
        self.epoch = self.reserve.in_room(self._next_epoch)

    @classmethod
    def open(cls, base: Path, worker_id: str) -> StateDir:
        """Make it, close it to other users, and lock it.

        StateDirInUse when another process has it; StateDirError on a network file system, or where it is not writable.
        """
        root = worker_dir(base, worker_id)
        try:
            private_files.make_directory(root)
            refuse_network(root)
            _close(root)
            lock = _locked(root)
            try:
                return cls(root, lock)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise StateDirError(
                f"the state directory {root} cannot be used: {error.strerror}{holder.whose(root)}. "
                "Choose another by --state-dir or GYOZA_STATE_DIR"
            ) from None

    @property
    def journal(self) -> Path:
        return self.root / JOURNAL

    @property
    def worker_log(self) -> Path:
        """What the worker itself says."""
        return self.root / WORKER_LOG

    @property
    def disk_samples(self) -> Path:
        """How full the disks were, and by which runs, when that was last looked at."""
        return self.root / "disks.json"

    def log_path(self, run_id: str, attempt: int, lease: str | None) -> Path:
        """Where the attempt's output is spooled."""
        return self.log_of(attempt_name(run_id, attempt, lease))

    def log_of(self, name: str) -> Path:
        """The same by the attempt's name."""
        return self.root / "logs" / f"{name}.log"

    def logs(self) -> list[tuple[str, float]]:
        """The names of all attempts that have a log here, and the UTC seconds of the last change to its directory."""
        return [(path.stem, path.stat().st_mtime) for path in (self.root / "logs").glob("*.log")]

    def close(self) -> None:
        self._lock.release()

    def _next_epoch(self) -> int:
        path = self.root / "epoch"
        last = _read(path) or ""
        # a damaged file: the time alone will do, as long as the clock was not put back
        known = int(last) if last.isdecimal() and len(last) <= _EPOCH_DIGITS else 0
        epoch = max(known + 1, int(time.time()))
        _write(path, str(epoch))
        return epoch


def log_files(root: Path) -> Iterator[LogFile]:
    """The logs below a worker's state directory; ids that cannot be file names are told by their hash."""
    for path in (root / "logs").glob("gyoza-*.log"):
        if parts := _LOG.fullmatch(path.name):
            yield LogFile(parts[1], int(parts[2]), path)


def _close(root: Path) -> None:
    """Close what an older version, or its user, left open: outputs and secrets are in there."""
    private_files.close_files(root)
    logs = root / "logs"
    if private_files.make_directory(logs):
        private_files.close_files(logs)


def _locked(root: Path) -> FileLock:
    lock = FileLock(root / holder.LOCK, timeout=_LOOK_S, thread_local=False)
    try:
        lock.acquire(poll_interval=_LOOK_S / 10)
    except Timeout:
        raise StateDirInUse(root) from None
    return lock


def refuse_network(root: Path) -> None:
    """SQLite's journal and file locks are not safe there."""
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda m: len(m.mountpoint), reverse=True)
    real = root.resolve()
    kind = next((m.fstype for m in mounts if real.is_relative_to(m.mountpoint)), "")
    if kind.lower() in _NETWORK_FILESYSTEMS:
        raise StateDirError(
            f"the state directory {root} lies on a network file system ({kind}), where the journal is not safe. "
            "Choose a local one by --state-dir or GYOZA_STATE_DIR"
        )


def _identity(path: Path) -> str:
    known = _read(path)
    if not known:
        known = str(uuid.uuid4())
        _write(path, known)
    if not SAFE_NAME.fullmatch(known):
        raise StateDirError(
            f"{path} is damaged: it held this worker's identity. Put its content back, or remove the file: then the "
            "server takes this worker for another one, and gives its runs away when their lease is over"
        )
    return known


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return None


def _write(path: Path, text: str) -> None:
    """Replace the file's content, atomically and durably; other users cannot read it."""
    part = path.with_name(path.name + ".part")
    with open(part, "w", opener=_private) as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
