"""The op's directory from outside: on this machine where it is a bind mount, through the engine where it is a volume.

What lies there after the start is the op's, and hostile.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from docker.errors import NotFound

from gyoza_tui.backends.base import BackendError, DiskFull, VanishedHandle
from gyoza_tui.backends.docker.creation import OP_DIR
from gyoza_tui.backends.docker.engine import CALL_TIMEOUT_S, Engine
from gyoza_tui.backends.docker.stream import RawStream

_WRITABLE_BY_ALL: Final = 0o777
"""A container without capabilities, or with a user of its own, must be able to write."""
_READABLE_BY_ALL: Final = 0o644
_GO_DIRECTORY: Final = 1 << 31
_GO_LINK: Final = 1 << 27
_GO_IRREGULAR: Final = (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19)


def check_plain(name: str) -> None:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")


def put_bound(run_dir: Path, files: Mapping[str, bytes]) -> None:
    directory = _open_directory(run_dir)
    try:
        for name, data in files.items():
            check_plain(name)
            _write_new(directory, name, data)
    except OSError as error:
        words = f"the op's files cannot be written to {run_dir}: {error}"
        raise DiskFull.of(error, run_dir) or BackendError(words) from error
    finally:
        os.close(directory)


def fetch_bound(run_dir: Path, name: str, limit: int) -> bytes | None:
    """One regular file, read without following a link. Raises ValueError as `Backend.fetch` says."""
    check_plain(name)
    try:
        directory = _open_directory(run_dir)
    except FileNotFoundError:
        return None
    try:
        return _read_regular(directory, name, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{name}: cannot be read: {error.strerror}") from error
    finally:
        os.close(directory)


def put_volume(engine: Engine, container: str, files: Mapping[str, bytes]) -> None:
    """Raises VanishedHandle when the container is gone."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        top = tarfile.TarInfo(OP_DIR.strip("/"))
        top.type, top.mode = tarfile.DIRTYPE, _WRITABLE_BY_ALL
        tar.addfile(top)
        for name, data in files.items():
            check_plain(name)
            info = tarfile.TarInfo(f"{top.name}/{name}")
            info.size, info.mode = len(data), _READABLE_BY_ALL
            tar.addfile(info, io.BytesIO(data))
    with engine.api() as api:
        try:
            api.put_archive(container, "/", archive.getvalue())
        except NotFound as error:
            raise VanishedHandle(f"the container {container[:12]} is gone: {error.explanation}") from error


def fetch_volume(engine: Engine, container: str, name: str, limit: int) -> bytes | None:
    """As `fetch_bound`; the engine says what it is before its bytes come, so that a huge one is never read."""
    check_plain(name)
    path = f"/containers/{container}/archive"
    with engine.stream("GET", path, {"path": f"{OP_DIR}/{name}"}, timeout_s=CALL_TIMEOUT_S) as answer:
        try:
            return _unpack(engine, answer, container, name, limit)
        except OSError as error:
            raise engine.unavailable(error) from error


def _unpack(engine: Engine, answer: RawStream, container: str, name: str, limit: int) -> bytes | None:
    if answer.status == 404:
        words = answer.read_all(4096).decode(errors="replace")
        if "No such container" in words:
            raise VanishedHandle(f"the container {container[:12]} is gone")
        return None
    if answer.status != 200:
        raise engine.refused(answer.read_all(4096).decode(errors="replace"), answer.status)
    found = json.loads(base64.b64decode(answer.header("X-Docker-Container-Path-Stat") or "e30="))
    mode, size = int(found.get("mode", 0)), int(found.get("size", 0))
    kind = "link" if mode & _GO_LINK else "directory" if mode & _GO_DIRECTORY else None
    if kind or mode & _GO_IRREGULAR:
        raise ValueError(f"{name}: not a regular file but a {kind or 'device, pipe or socket'}")
    if size > limit:
        raise ValueError(_too_large(name, size, limit))
    archive = io.BytesIO(answer.read_all(size + 64 * 1024))
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            entry = tar.next()
            if entry is None or not entry.isreg():
                raise ValueError(f"{name}: not a regular file")
            source = tar.extractfile(entry)
            data = source.read() if source else b""
    except tarfile.TarError as error:
        raise ValueError(f"{name}: changed while it was read") from error
    if len(data) != size:
        raise ValueError(f"{name}: changed while it was read")
    return data


def _open_directory(run_dir: Path) -> int:
    return os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _write_new(directory: int, name: str, data: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, _READABLE_BY_ALL, dir_fd=directory), "wb") as file:
        os.fchmod(file.fileno(), _READABLE_BY_ALL)  # whatever the worker's umask is
        file.write(data)


def _read_regular(directory: int, name: str, limit: int) -> bytes:
    # Looked at before it is opened: opening a device can do something, and a pipe may wait for its writer.
    before = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(before.st_mode):
        raise ValueError(f"{name}: not a regular file but a {_kind(before.st_mode)}")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
        opened = os.fstat(file.fileno())
        if _identity(opened) != _identity(before):
            raise ValueError(f"{name}: changed while it was read")
        if opened.st_size > limit:
            raise ValueError(_too_large(name, opened.st_size, limit))
        data = file.read(opened.st_size + 1)
        after = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if len(data) != opened.st_size or not (
            _identity(before) == _identity(os.fstat(file.fileno())) == _identity(after)
        ):
            raise ValueError(f"{name}: changed while it was read")
    return data


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "link"), (stat.S_ISDIR, "directory"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((word for test, word in kinds if test(mode)), "device")


def _too_large(name: str, size: int, limit: int) -> str:
    return f"{name}: {size} bytes, more than the {limit} that are read"
