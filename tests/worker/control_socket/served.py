"""A control that is served over a socket, and the control at its other end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.control_socket.client import RemoteControl
from gyoza_tui.worker.control_socket.server import ControlSocket
from gyoza_tui.worker.control_socket.wire import SCHEMA, Hello
from gyoza_tui.worker.view.control import WorkerControl

HELLO = Hello(SCHEMA, "0.1.0", "w1", "instance", 7, 4711, "http://localhost:5555")


@contextmanager
def serving(control: WorkerControl, root: Path, hello: Hello = HELLO) -> Iterator[ControlSocket]:
    server = ControlSocket(control, root, hello, SystemClock())
    server.start()
    try:
        yield server
    finally:
        server.stop("over")


@contextmanager
def attached(root: Path) -> Iterator[RemoteControl]:
    remote = RemoteControl(root, SystemClock())
    try:
        yield remote
    finally:
        remote.close()
