"""A directory on this disk that an op can write to: what the worker puts there, and what it reads."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import BackendError, BackendUnavailable, DiskFull, FileRefused
from gyoza_tui.backends.hostile_file import Kind, check_name, read_whole

_READABLE_BY_ALL: Final = 0o644
_KINDS: Final = {
    stat.S_IFREG: Kind.REGULAR,
    stat.S_IFLNK: Kind.LINK,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
}


_AN_OPS_DOING: Final = frozenset(
    {
        errno.EACCES,
        errno.EAGAIN,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENODEV,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)
"""What an op can bring about with its own file. Anything else, as a machine without a free descriptor, passes."""


def put(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files whole, each in the place of whatever has its name. Raises DiskFull, BackendError, ValueError."""
    try:
        with _opened(directory) as folder:
            for name, data in files.items():
                _write_new(folder, check_name(name), data)
    except OSError as error:
        words = f"the op's files cannot be written to {directory}: {error.strerror}"
        raise DiskFull.of(error, directory) or BackendError(words) from error


def fetch(directory: Path, name: str, limit: int) -> bytes | None:
    """One file, read as `hostile_file` says; None when there is none. Raises FileRefused, BackendUnavailable."""
    try:
        with _opened(directory) as folder:
            # O_PATH, as opening a device does something, and opening a pipe waits for its writer.
            found = os.open(check_name(name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                return read_whole(_OnDisk(found), name, limit)
            finally:
                os.close(found)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _AN_OPS_DOING:
            raise FileRefused(name, f"cannot be read: {error.strerror}") from error
        raise BackendUnavailable(f"{directory / name} cannot be read now: {error.strerror}") from error


class _OnDisk:
    """The file of an O_PATH descriptor: no other can take its place."""

    def __init__(self, found: int) -> None:
        self._found = found
        self._before = os.fstat(found)
        self.kind = _KINDS.get(stat.S_IFMT(self._before.st_mode), Kind.UNKNOWN)
        self.size = self._before.st_size

    def read(self, most: int) -> bytes | None:
        # O_NONBLOCK, as the holder of a lease on the file could keep its reader waiting.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with os.fdopen(os.open(f"/proc/self/fd/{self._found}", flags), "rb") as file:
            data = file.read(most)
            after = os.fstat(file.fileno())
        same = (after.st_size, after.st_mtime_ns) == (self._before.st_size, self._before.st_mtime_ns)
        return data if same else None


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def _write_new(folder: int, name: str, data: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, _READABLE_BY_ALL, dir_fd=folder), "wb") as file:
        os.fchmod(file.fileno(), _READABLE_BY_ALL)  # whatever the worker's umask is
        file.write(data)
