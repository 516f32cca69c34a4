"""The op's directory, entered as hostile ground: no link is followed, nothing but regular files is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gyoza_tui.models.limits import MIB


def _plain(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\x00" in name:
        raise ValueError(f"{ascii(name)[:80]} is not a plain file name")
    return name


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def put(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files whole. Raises OSError, ValueError for a name that is not plain."""
    with _directory(directory) as folder:
        for name, data in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(_plain(name), flags, 0o644, dir_fd=folder), "wb") as file:
                file.write(data)


def fetch(directory: Path, name: str, limit: int) -> bytes | None:
    """The bytes of a regular file; None when there is none. ValueError in words for anything else."""
    try:
        with _directory(directory) as folder:
            # O_PATH first: opening a device or a fifo for reading can already do something.
            found = os.open(_plain(name), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                return _read(found, name, limit)
            finally:
                os.close(found)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None


def _read(found: int, name: str, limit: int) -> bytes:
    before = os.fstat(found)
    if not stat.S_ISREG(before.st_mode):
        raise ValueError(f"{name} is {_kind(before.st_mode)}, not a regular file")
    if before.st_size > limit:
        raise ValueError(f"{name} has {before.st_size} bytes: at most {limit // MIB} MiB are taken")
    with open(f"/proc/self/fd/{found}", "rb", buffering=0) as file:
        data = bytearray()
        while len(data) <= limit and (piece := file.read(limit + 1 - len(data))):
            data += piece
        after = os.fstat(file.fileno())
    if (len(data), after.st_size, after.st_mtime_ns) != (before.st_size, before.st_size, before.st_mtime_ns):
        raise ValueError(f"{name} changed while it was read: a process of the op is still writing")
    return bytes(data)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a fifo",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
