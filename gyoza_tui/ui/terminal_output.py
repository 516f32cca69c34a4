"""Writing to a terminal that may have stopped reading, or be gone: nobody but the thread in here waits for it."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

BACKLOG_BYTES: Final = 256 * 1024
"""What may wait for a slow terminal. More is no help: all of it is dropped, and the screen drawn anew."""


class TerminalOutput:
    """Takes what is written at once and never raises.

    `caught_up` is called when something was dropped and the terminal reads again, `gone` when it hung up; both in the
    writing thread.
    """

    def __init__(self, fd: int, *, caught_up: Callable[[], None], gone: Callable[[], None]) -> None:
        self._fd = os.dup(fd)
        self._caught_up = caught_up
        self._gone = gone
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._waiting = 0
        """Bytes in the queue and in the thread's hands."""
        self._dropping = False
        self._is_gone = False
        self._closed = False
        threading.Thread(target=self._serve, name="terminal-output", daemon=True).start()

    def write(self, data: bytes) -> None:
        with self._changed:
            if self._is_gone or self._dropping or self._closed:
                return
            if self._waiting and self._waiting + len(data) > BACKLOG_BYTES:
                self._dropping = True
                self._forget()
                return
            self._queue.append(data)
            self._waiting += len(data)
            self._changed.notify_all()

    def clear(self) -> bool:
        """Drop what the terminal has not begun to read; whether there was, or had been, something dropped."""
        with self._changed:
            dropped = self._dropping or bool(self._queue)
            self._forget()
            self._dropping = False
            return dropped

    def drain(self, timeout_s: float) -> bool:
        """Wait until the terminal has read everything; whether it has."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._is_gone, deadline - time.monotonic())
            return not self._waiting

    def close(self) -> None:
        """Take nothing more. What waits is still written should the terminal ever read it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _forget(self) -> None:
        self._waiting -= sum(map(len, self._queue))
        self._queue.clear()

    def _serve(self) -> None:
        while (data := self._next()) is not None:
            written = self._put(data)
            with self._changed:
                self._waiting -= len(data)
                if not written:
                    self._is_gone = True
                    self._forget()
                again = self._dropping and not self._queue
                self._dropping = self._dropping and not again
                self._changed.notify_all()
            if not written:
                self._gone()
            elif again:
                self._caught_up()
        os.close(self._fd)

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return self._queue.popleft() if self._queue else None

    def _put(self, data: bytes) -> bool:
        """The whole of it, so that no escape sequence is ever cut; whether the terminal is there."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # another program shares the terminal and made it so
                select.select([], [self._fd], [])
            except OSError:
                return False
        return True
