"""Writing to a terminal that may have stopped reading, or be gone, without ever waiting for it."""

from __future__ import annotations

import asyncio
import os
import select
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gyoza_tui.models.limits import KIB

BACKLOG_BYTES: Final = 256 * KIB
"""What may wait for a slow terminal. More is no help: all of it is dropped, and the screen drawn anew."""
_CANCEL: Final = b"\x18"
"""Ends an escape sequence that was cut."""


class TerminalOutput:
    """Takes what is written at once and never raises. From any thread; the event loop writes what had to wait.

    `caught_up` is called when something was dropped and the terminal reads again, `gone` when it hung up.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, caught_up: Callable[[], None], gone: Callable[[], None]
    ) -> None:
        # non-blocking, and an open file of its own: nobody else's may become so
        self._fd = os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        self._loop = loop
        self._caught_up = caught_up
        self._gone = gone
        self._lock = threading.Lock()
        self._queue: deque[bytes] = deque()
        self._begun = False
        """The terminal has a part of the first in the queue."""
        self._dropping = False
        self._over = False

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._over or self._dropping:
                return
            if self._queue and sum(map(len, self._queue)) + len(data) > BACKLOG_BYTES:
                self._dropping = True
                self._drop()
                return
            self._queue.append(data)
            if len(self._queue) == 1 and not self._put():
                self._call(self._watch)

    def clear(self) -> bool:
        """Drop what the terminal has not read, so that it reads next what is written next; whether there was any."""
        with self._lock:
            if not self._queue and not self._dropping:
                return False
            self._queue.clear()
            self._begun = self._dropping = False
            with suppress(termios.error):
                termios.tcflush(self._fd, termios.TCOFLUSH)
            self._queue.append(_CANCEL)
            return True

    def drain(self, timeout_s: float) -> None:
        """Wait until the terminal has been given everything."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._lock:
                if self._put():
                    return
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [self._fd], [], left)[1]:
                return

    def close(self) -> None:
        """In the event loop's thread, or after its end."""
        with self._lock:
            self._over = True
            self._queue.clear()
            if not self._loop.is_closed():
                self._loop.remove_writer(self._fd)
            os.close(self._fd)

    def _watch(self) -> None:
        with self._lock:
            if not self._over:
                self._loop.add_writer(self._fd, self._ready)

    def _ready(self) -> None:
        """In the event loop: the terminal reads, or is gone."""
        with self._lock:
            if not self._put():
                return
            self._loop.remove_writer(self._fd)
            again, self._dropping = self._dropping and not self._over, False
        if again:
            self._caught_up()

    def _put(self) -> bool:
        """As much as the terminal takes now; whether nothing is left."""
        while self._queue:
            data = self._queue[0]
            try:
                written = os.write(self._fd, data)
            except BlockingIOError:
                return False
            except OSError:
                self._over = True
                self._queue.clear()
                self._call(self._gone)
                return True
            self._begun = written < len(data)
            if self._begun:
                self._queue[0] = data[written:]
            else:
                self._queue.popleft()
        return True

    def _drop(self) -> None:
        """All but the rest of what was begun: no escape sequence may be cut."""
        rest = [self._queue[0]] if self._begun else []
        self._queue = deque(rest)

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback, *arguments)
