"""A service manager's socket, as systemd has one, that keeps what it is told."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self


class NotifySocket:
    """At a path, or abstract where the name begins with `@`."""

    def __init__(self, name: str | Path) -> None:
        self.name = str(name)
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.close()

    def all(self) -> list[str]:
        """All that it was told so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def count(self, assignment: str) -> int:
        return self.all().count(assignment)

    def status(self) -> str:
        """The last one that it was told; empty before the first."""
        return next((one.removeprefix("STATUS=") for one in reversed(self.all()) if one.startswith("STATUS=")), "")
