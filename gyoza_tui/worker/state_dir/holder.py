"""Which process has a worker's state directory, since when, and how a person ends it."""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
_NAME: Final = "holder"
_PID: Final = re.compile(r"pid (\d{1,10}) on ")


def note(root: Path, write: Callable[[Path, str], None]) -> None:
    """Write down that this process has it from now on: the file's time says since when."""
    write(root / _NAME, f"pid {os.getpid()} on {socket.gethostname()}")


def in_use(root: Path) -> bool:
    """Whether a process has that state directory now."""
    try:
        with (root / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holder(root: Path) -> str:
    """The process that has it, and since when: `pid 4711 on box since 2026-03-14 02:14:10`."""
    try:
        noted, began = _noted(root), since(root)
    except OSError:
        return "another process"
    return noted if began is None else f"{noted} since {began.astimezone():%Y-%m-%d %H:%M:%S}"


def since(root: Path) -> datetime | None:
    """Since when a process has it."""
    try:
        return datetime.fromtimestamp((root / _NAME).stat().st_mtime, UTC)
    except OSError:
        return None


def whose(root: Path) -> str:
    """`, it is user ann's`, where it is closed to this user by another one; else empty."""
    for path in (root, *root.parents):
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        return "" if owner in (os.geteuid(), 0) else f", it is user {_user(owner)}'s"
    return ""


def how_to_end_it(root: Path) -> str:
    """What to type to end that process."""
    try:
        found = _PID.match(_noted(root))
    except OSError:
        found = None
    end = f"End it by `kill {found[1]}`" if found else "End it"
    return f"{end}: it finishes its runs first, or leaves them to its next start if GYOZA_ON_SIGTERM is `detach`"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _noted(root: Path) -> str:
    with (root / _NAME).open(errors="replace") as file:
        return file.readline(200).strip()
