"""An op's directory in a volume of the engine, which packs and unpacks it as tar."""

from __future__ import annotations

import base64
import io
import json
import re
import tarfile
from collections.abc import Mapping
from typing import Final

from docker.errors import NotFound

from gyoza_tui.backends.base import BackendError, VanishedHandle
from gyoza_tui.backends.docker.creation import OP_DIR
from gyoza_tui.backends.docker.engine import CALL_TIMEOUT_S, Engine
from gyoza_tui.backends.docker.stream import RawStream
from gyoza_tui.backends.hostile_file import Kind, check_name, irregular, read_whole
from gyoza_tui.models.limits import KIB

_WRITABLE_BY_ALL: Final = 0o777
"""A container without capabilities, or with a user of its own, must be able to write."""
_READABLE_BY_ALL: Final = 0o644
_STAT_HEADER: Final = "X-Docker-Container-Path-Stat"
_GO_KINDS: Final = {
    1 << 31: Kind.DIRECTORY,
    1 << 27: Kind.LINK,
    1 << 26: Kind.DEVICE,
    1 << 25: Kind.PIPE,
    1 << 24: Kind.SOCKET,
    1 << 21: Kind.DEVICE,
    1 << 19: Kind.UNKNOWN,
}
"""Bits of the mode by which the engine describes a file, as Go's `fs.FileMode` has them; none is of a regular file."""
_NOT_FOLLOWED: Final = re.compile(
    r"evalSymlinksInScope: too many links in .*|lstat .*: (not a directory|file name too long)", re.DOTALL
)
"""The engine follows a link before it describes it, and may fail; the op has written what is in the middle."""
_ENVELOPE: Final = 64 * KIB
"""What tar adds to a file: its headers and padding."""
_ANSWER_MAX: Final = 64 * KIB
"""An answer that refuses may name a path, of 4 KiB, each byte of which may be escaped."""


def put(engine: Engine, container: str, files: Mapping[str, bytes]) -> None:
    """Write files, and open the directory to every user. Raises VanishedHandle when the container is gone."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        top = tarfile.TarInfo(OP_DIR.strip("/"))
        top.type, top.mode = tarfile.DIRTYPE, _WRITABLE_BY_ALL
        tar.addfile(top)
        for name, data in files.items():
            info = tarfile.TarInfo(f"{top.name}/{check_name(name)}")
            info.size, info.mode = len(data), _READABLE_BY_ALL
            tar.addfile(info, io.BytesIO(data))
    with engine.api() as api:
        try:
            api.put_archive(container, "/", archive.getvalue())
        except NotFound as error:
            raise VanishedHandle(f"the container {container[:12]} is gone: {error.explanation}") from error


def fetch(engine: Engine, container: str, name: str, limit: int) -> bytes | None:
    """One file, read as `hostile_file` says; None when there is none. Raises FileRefused, VanishedHandle."""
    query = {"path": f"{OP_DIR}/{check_name(name)}"}
    path = f"/containers/{container}/archive"
    with engine.stream("GET", path, query, timeout_s=CALL_TIMEOUT_S) as answer:
        try:
            if answer.status == 200:
                return read_whole(_InArchive(engine, answer), name, limit)
            said = answer.read_all(_ANSWER_MAX).decode(errors="replace")
        except OSError as error:
            raise engine.unavailable(error) from error
    if _NOT_FOLLOWED.fullmatch(_message(said)):
        raise irregular(name, Kind.LINK)
    if answer.status != 404:
        raise engine.refused(said, answer.status)
    if "No such container" in said:
        raise VanishedHandle(f"the container {container[:12]} is gone")
    return None


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["message"]).strip()
    except (ValueError, LookupError, TypeError):
        return ""


class _InArchive:
    """A file that the engine has described and is about to send, as the only entry of an archive."""

    def __init__(self, engine: Engine, answer: RawStream) -> None:
        self._engine = engine
        self._answer = answer
        mode, self.size = _described(answer.header(_STAT_HEADER))
        self.kind = next((kind for bit, kind in _GO_KINDS.items() if mode & bit), Kind.REGULAR)

    def read(self, most: int) -> bytes | None:
        archive = io.BytesIO(self._answer.read_all(self.size + _ENVELOPE))
        try:
            with tarfile.open(fileobj=archive, mode="r:") as tar:
                entry = tar.next()
                file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
                return file.read(most) if file is not None else None
        except tarfile.TarError:
            self._engine.ping()  # it breaks off where a file has another size than it had, and also where it dies
            return None


def _described(header: str | None) -> tuple[int, int]:
    """The mode and the size that the engine gives."""
    try:
        found = json.loads(base64.b64decode(header or ""))
        return int(found["mode"]), int(found["size"])
    except (ValueError, LookupError, TypeError) as error:
        raise BackendError(f"the Docker engine does not say what kind of file it sends: {header!r}") from error
