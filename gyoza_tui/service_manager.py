"""What a service manager such as systemd is told of this process, by the protocol of sd_notify(3)."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

_LOOK_S: Final = 1.0
_SEND_S: Final = 1.0
"""How long a manager that does not read may hold up who tells it something."""
_STATUS_MAX: Final = 300


class ServiceManager:
    """The manager that NOTIFY_SOCKET names; where it is not set, nobody is told anything.

    `status` says in a line how the process does, `is_well` whether the watchdog is to be fed.
    """

    def __init__(
        self, status: Callable[[], str], is_well: Callable[[], bool], environment: Mapping[str, str] = os.environ
    ) -> None:
        self._status = status
        self._is_well = is_well
        self._socket = environment.get("NOTIFY_SOCKET", "")
        self._feed_s = _watchdog_s(environment) / 2
        self._look_s = min(_LOOK_S, self._feed_s / 2) or _LOOK_S
        self._stopped = threading.Event()
        self._told = False

    def ready(self) -> None:
        """The start is done; from now on it hears how the process does, in a thread."""
        if self._socket:
            self._tell("READY=1")
            self._told = True
            threading.Thread(target=self._serve, name="service-manager", daemon=True).start()

    def stopping(self) -> None:
        """The end has begun, and nothing undoes it."""
        self._stopped.set()
        if self._told:
            self._told = False
            self._tell("STOPPING=1")

    def _serve(self) -> None:
        """A process that was not well is fed for as soon as it is: a machine that slept wakes up with late threads."""
        last, feed_at = "", time.monotonic()
        while True:
            with suppress(Exception):  # as while the worker closes
                if (status := self._status()) != last:
                    self._tell(f"STATUS={_line(status)}")
                    last = status
                if self._feed_s and time.monotonic() >= feed_at and self._is_well():
                    self._tell("WATCHDOG=1")
                    feed_at = time.monotonic() + self._feed_s
            if self._stopped.wait(self._look_s):
                return

    def _tell(self, assignment: str) -> None:
        """Never fails: a process goes on without a manager that listens."""
        abstract = self._socket.startswith("@")
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
            telling.settimeout(_SEND_S)
            telling.sendto(assignment.encode(), "\0" + self._socket[1:] if abstract else self._socket)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Within which it must be fed; 0: there is none, or it is another process's."""
    wanted, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(wanted) / 1e6


def _line(text: str) -> str:
    return " ".join(text.split())[:_STATUS_MAX]
