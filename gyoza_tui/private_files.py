"""Takes from other users what they may do with files and directories of this one."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
SQLITE_SUFFIXES: Final = ("", "-wal", "-shm")
"""Of a database and of the files that SQLite keeps with it."""


def make_directory(path: Path) -> bool:
    """Make a directory that is closed to others, or close what is there; whether it was open. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory = os.open(path, _DIRECTORY)
    try:
        mode = os.fstat(directory).st_mode
        if mode & _OF_OTHERS:
            os.fchmod(directory, stat.S_IMODE(mode) & ~_OF_OTHERS)
        return bool(mode & _OF_OTHERS)
    except PermissionError as error:
        raise PermissionError(error.errno, f"{path} is open to other users, and is not yours to close") from None
    finally:
        os.close(directory)


def close_files(directory: Path) -> None:
    """Close the files of a directory which is closed itself: no one else puts a link in their place."""
    for path in directory.iterdir():
        close_file(path)


def close_file(path: Path) -> None:
    """Close a file, if there is one of this user. It is not opened: a database's locks would be lost with that."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & _OF_OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OF_OTHERS)


def make_database(path: Path) -> None:
    """Make an empty database, or close what is there. What SQLite puts next to it gets its mode. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    for suffix in SQLITE_SUFFIXES:
        close_file(path.with_name(path.name + suffix))
