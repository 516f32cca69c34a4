"""Where a worker's control socket is: in its state directory, however long that path is."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NAME: Final = "control.sock"
_BACKLOG: Final = 32
_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group, as SO_PEERCRED gives them."""


def listen(root: Path) -> socket.socket:
    """Replace the socket in `root` by one that only its user can connect to.

    The caller holds the state directory's lock, so that what is there is left over. Raises OSError.
    """
    (root / NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before bind: the file never has another mode
        with _short(root) as path:
            listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(root: Path, timeout_s: float) -> socket.socket:
    """Raises OSError: FileNotFoundError without a socket, ConnectionRefusedError when nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with _short(root) as path:
            connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def peer_uid(connection: socket.socket) -> int:
    """The user of the process that connected."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1])


@contextmanager
def _short(root: Path) -> Iterator[str]:
    """The socket's path by a descriptor of its directory: the kernel takes no path above 107 bytes."""
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
