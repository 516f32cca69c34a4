"""Which process has a worker's state directory, since when, and how a person ends it."""

from __future__ import annotations

import fcntl
import os
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
        since = datetime.fromtimestamp((root / _NAME).stat().st_mtime, UTC).astimezone()
        return f"{_noted(root)} since {since:%Y-%m-%d %H:%M:%S}"
    except OSError:
        return "another process"


def how_to_end_it(root: Path) -> str:
    """What to type to end that process."""
    try:
        found = _PID.match(_noted(root))
    except OSError:
        found = None
    end = f"End it by `kill {found[1]}`" if found else "End it"
    return f"{end}: it finishes its runs first, or leaves them to its next start if GYOZA_ON_SIGTERM is `detach`"


def _noted(root: Path) -> str:
    with (root / _NAME).open(errors="replace") as file:
        return file.readline(200).strip()
