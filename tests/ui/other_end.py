"""A control at the other end of a socket, as an app in another process has it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gyoza_tui.worker.control_socket.client import RemoteControl
from gyoza_tui.worker.control_socket.server import ControlSocket
from gyoza_tui.worker.view.control import WorkerControl
from tests.clock import FakeClock
from tests.worker.control_socket.served import serving


@contextmanager
def at_the_other_end(control: WorkerControl, root: Path) -> Iterator[tuple[RemoteControl, ControlSocket]]:
    """On a clock that stands still, so that it is not silent: what stays the same is not sent again."""
    with serving(control, root) as server:
        remote = RemoteControl(root, FakeClock())
        try:
            yield remote, server
        finally:
            remote.close()


def caught_up(remote: RemoteControl) -> None:
    """Return once it shows what its worker shows now: that is sent before what was asked is answered."""
    remote._connection.ask("try_now", timeout_s=20)


def cut(server: ControlSocket) -> None:
    """Have every connection be over without a word, as when the worker is killed."""
    for cockpit in list(server._cockpits):
        cockpit._connection.shutdown(socket.SHUT_RDWR)
