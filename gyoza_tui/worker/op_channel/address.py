"""Where an op finds its socket: in its own directory, put there so that no link of the op's is followed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

NAME: Final = "gyoza.sock"
_BACKLOG: Final = 64
_FOR_ALL: Final = 0o666
"""The op may be any user."""


def listen(run_dir: Path, made: Path) -> socket.socket:
    """Listen on a new socket `NAME` in `run_dir`, in the place of a former one. Raises OSError.

    It is bound and opened to every user as `made`, where no op can reach it, and then moved. An op that has put a link
    in the place of its directory gets no socket; one that has put a link at `NAME` loses the link.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.unlink(missing_ok=True)
        with _opened(made.parent) as ours:
            # the kernel takes no path above 107 bytes
            short = f"/proc/self/fd/{ours}/{made.name}"
            listener.bind(short)
            os.chmod(short, _FOR_ALL)
            with _opened(run_dir) as ops:
                os.rename(made.name, NAME, src_dir_fd=ours, dst_dir_fd=ops)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        with suppress(OSError):
            made.unlink(missing_ok=True)
        raise
    return listener


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)
