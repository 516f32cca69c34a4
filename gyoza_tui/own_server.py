"""A server of this user on this machine: the key that it makes, and the file that announces it to clients.

The server holds a lock on that file while it lives. What a killed server left is not believed: another process may
have its port by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ValidationError

from gyoza_tui import private_files
from gyoza_tui.models.faults import SettingsError
from gyoza_tui.models.limits import KIB
from gyoza_tui.models.loopback import is_loopback

_SIZE_MAX: Final = 16 * KIB
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class OwnServer(NamedTuple):
    """One that lives."""

    url: str
    key: str
    key_file: Path
    announced_in: Path

    def __repr__(self) -> str:
        return f"OwnServer({self.url!r})"


class OwnFiles(NamedTuple):
    """Where a server keeps the key that it makes, and where it announces itself."""

    key: Path
    announcement: Callable[[int], Path]
    """By the server's port."""


def files_of_serve(state_dir: Path) -> OwnFiles:
    """Those of `serve`: one key for every port."""
    directory = state_dir / "serve"
    return OwnFiles(directory / "key", lambda port: directory / f"{port}.json")


def files_of_worker(worker_dir: Path) -> OwnFiles:
    """Those of the server that a worker starts for itself."""
    return OwnFiles(worker_dir / "server.key", lambda _port: worker_dir / "server.json")


class _Announced(BaseModel):
    url: str
    key_file: Path
    host: str
    """Another host may share the directory; its loopback addresses are not ours."""


class Announcement:
    """The announcement of a server, locked until it is withdrawn.

    SettingsError when another server has the file, or it cannot be made.
    """

    def __init__(self, files: OwnFiles, url: str) -> None:
        self._path = files.announcement(urlsplit(url).port or 0)
        content = _Announced(url=url, key_file=files.key, host=socket.gethostname()).model_dump_json()
        try:
            with contextlib.suppress(FileNotFoundError):
                _refuse_live(self._path)
            part = _new_private_file(self._path, content)
            self._file = os.open(part, _READ)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.replace(self._path)
        except OSError as error:
            raise _unusable(self._path, error) from None

    def withdraw(self) -> None:
        """Remove the file, then the lock. Withdrawing twice does nothing."""
        if self._file < 0:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(self._path.lstat(), os.fstat(self._file)):
                self._path.unlink()
        os.close(self._file)
        self._file = -1


def made_key(path: Path) -> str:
    """The key in `path`, which is made if there is none. What is there is made private."""
    try:
        private_files.make_directory(path.parent)
        if not path.exists():
            part = _new_private_file(path, secrets.token_urlsafe(32))
            with contextlib.suppress(FileExistsError):  # another server was faster: its key counts
                os.link(part, path)
            part.unlink()
        private_files.close_file(path)
    except OSError as error:
        raise _unusable(path, error) from None
    return _key_in(path)


def own_server(announcement: Path) -> OwnServer | None:
    """The server that announces itself in that file; None unless it lives. SettingsError when it cannot be trusted."""
    try:
        with _opened(announcement) as file:
            if not _locked(file):
                return None
            found = _Announced.model_validate_json(_private_content(file, announcement))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(announcement, error) from None
    except ValidationError:
        raise SettingsError(f"{announcement} does not name a server: remove it, or name one by --server") from None
    if found.host != socket.gethostname() or not is_loopback(urlsplit(found.url).hostname or ""):
        return None
    return OwnServer(found.url, _key_in(found.key_file), found.key_file, announcement)


def own_server_at(url: str, state_dir: Path, worker_dir: Path) -> OwnServer | None:
    """The server of this user that is meant by `url`. `localhost` means whichever loopback address it listens at."""
    wanted = urlsplit(url)
    if wanted.scheme != "http" or not is_loopback(wanted.hostname or ""):
        return None
    port = wanted.port or 80
    for files in (files_of_worker(worker_dir), files_of_serve(state_dir)):
        found = own_server(files.announcement(port))
        if found is not None and _is_meant(urlsplit(found.url), wanted.hostname, port):
            return found
    return None


def _is_meant(announced: SplitResult, host: str | None, port: int) -> bool:
    return announced.port == port and host in ("localhost", announced.hostname)


def _key_in(path: Path) -> str:
    try:
        with _opened(path) as file:
            key = _private_content(file, path).strip().decode(errors="replace")
    except OSError as error:
        raise _unusable(path, error) from None
    if not key or not key.isascii() or not key.isprintable():
        raise SettingsError(f"the key file {path} holds no key: remove it, and restart the server")
    return key


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, _READ)
    try:
        yield file
    finally:
        os.close(file)


def _private_content(file: int, path: Path) -> bytes:
    """What a file of this user holds that no one else can read or change; SettingsError for any other."""
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise SettingsError(f"{path} is not a file of yours: remove it, or name a key by --api-key-file")
    if found.st_mode & 0o077:
        raise SettingsError(f"{path} is open to other users: chmod 600 {path}")
    content = os.read(file, _SIZE_MAX + 1)
    if len(content) > _SIZE_MAX:
        raise SettingsError(f"{path} is over {_SIZE_MAX} bytes: remove it")
    return content


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _refuse_live(path: Path) -> None:
    with _opened(path) as file:
        if _locked(file):
            raise SettingsError(
                f"another server announces itself in {path}: stop it, or name a key of this one by --api-key-file"
            )


def _new_private_file(path: Path, content: str) -> Path:
    """A new file next to `path`, whole and on the disk."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, _CREATE, 0o600), "w") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    return part


def _unusable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{path} cannot be used: {error.strerror}. Choose another directory by GYOZA_STATE_DIR")
