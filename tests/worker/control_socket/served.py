"""A control that is served over a socket, and the control at its other end."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.control_socket import address
from gyoza_tui.worker.control_socket.client import RemoteControl
from gyoza_tui.worker.control_socket.connection import Connection, NobodyListens
from gyoza_tui.worker.control_socket.server import ControlSocket
from gyoza_tui.worker.control_socket.wire import SCHEMA, Hello, frame, receive
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


def listens(root: Path) -> bool:
    """Whether a worker can be attached to."""
    try:
        Connection(root).close()
    except NobodyListens:
        return False
    return True


def hang(control: WorkerControl, *names: str) -> threading.Event:
    """Let these calls of it not return until the event is set."""
    go = threading.Event()

    def hung(call: Any, *args: Any, **more: Any) -> Any:
        assert go.wait(60), "the test has not let go"
        return call(*args, **more)

    for name in names:
        method = getattr(control, name)
        setattr(control, name, lambda *args, _method=method, **more: hung(_method, *args, **more))
    return go


class BareCockpit:
    """Speaks frames, and keeps every byte that it is sent."""

    def __init__(self, root: Path) -> None:
        self.socket = address.connect(root, 10.0)
        self.seen = bytearray()
        self.messages: list[dict[str, Any]] = []
        self._numbers = itertools.count()

    def recv(self, size: int) -> bytes:
        data = self.socket.recv(size)
        self.seen += data
        return data

    def receive(self) -> dict[str, Any]:
        self.messages.append(receive(self))  # type: ignore[arg-type]
        return self.messages[-1]

    def send(self, call: str, number: int | None = None, **given: Any) -> int:
        number = next(self._numbers) if number is None else number
        self.socket.sendall(frame(json.dumps({"ask": number, "call": call, "with": given}).encode()))
        return number

    def answer(self, number: int) -> dict[str, Any]:
        while (message := self.receive()).get("answer") != number:
            pass
        return message

    def ask(self, call: str, **given: Any) -> dict[str, Any]:
        return self.answer(self.send(call, **given))

    def close(self) -> None:
        self.socket.close()


@contextmanager
def bare(root: Path) -> Iterator[BareCockpit]:
    cockpit = BareCockpit(root)
    try:
        yield cockpit
    finally:
        cockpit.close()


def is_over(connection: socket.socket, read: bytearray | None = None) -> bool:
    """Whether the other side has ended the connection; what came before is `read`."""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            if read is not None:
                read += data
    return True
