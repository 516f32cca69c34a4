"""The process behind the engine's socket, where it is one of this machine."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gyoza_tui.backends.docker.stream import connect_unix

_NAME: Final = "dockerd"
_PID_FILE: Final = Path("/run/docker.pid")
"""For an engine whose socket another process listens at, as systemd does."""
_TIMEOUT_S: Final = 2.2
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of the process that listens at a socket."""
_STARTTIME: Final = 19
"""Its place in /proc/<pid>/stat after the name; psutil rounds it to whole seconds."""


def pid_at(socket_path: str) -> int | None:
    """None where it cannot be known."""
    for pid in _candidates(socket_path):
        try:
            if Path(f"/proc/{pid}/comm").read_text(errors="surrogateescape").strip() == _NAME:
                return pid
        except OSError:
            continue
    return None


def began_at(pid: int) -> float | None:
    """UTC seconds; None when the process has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="surrogateescape")
    except OSError:
        return None
    ticks = int(stat.rpartition(")")[2].split()[_STARTTIME])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def _candidates(socket_path: str) -> Iterator[int]:
    try:
        with connect_unix(socket_path, _TIMEOUT_S) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        yield _CREDENTIALS.unpack(credentials)[0]
        yield int(_PID_FILE.read_text())
    except (OSError, ValueError):
        return
