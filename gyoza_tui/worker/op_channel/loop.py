"""One thread for the sockets of all ops: it waits for them, and for the times that were set. It asks no server."""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.notices.notices import Notices

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE
_TIMERS_MIN: Final = 64
_LOOK_S: Final = 0.5
"""How often the clock is looked at while a time is set, for it may not be the kernel's."""


class Timer:
    """A call that was set for a time."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """`call` and `stop` are for any thread, all else for calls that the loop makes. Its thread begins with the first
    call."""

    def __init__(self, clock: Clock, notices: Notices) -> None:
        self._clock = clock
        self._notices = notices
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._timers_max = _TIMERS_MIN
        """How many there may be before those that were cancelled are removed."""
        self._numbers = itertools.count()
        self._stopped = False
        self._selector: selectors.BaseSelector | None = None
        self._wake: int | None = None
        self._said = ""

    def call(self, what: Callable[[], None]) -> None:
        """Have it called soon; never, once the loop is stopped. Raises OSError or RuntimeError where no thread can be
        had."""
        with self._lock:
            if self._stopped:
                return
            if self._wake is None:
                self._begin()
            self._calls.append(what)
            self._ring()

    def stop(self) -> None:
        """Close every socket that is watched, and make no more calls."""
        with self._lock:
            self._stopped = True
            if self._wake is not None:
                self._ring()

    def watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """`ready` is called with the events whenever the socket has some, until it is watched for 0."""
        assert self._selector is not None
        known = sock.fileno() in self._selector.get_map()
        if known and events:
            self._selector.modify(sock, events, ready)
        elif known:
            self._selector.unregister(sock)
        elif events:
            self._selector.register(sock, events, ready)

    def at(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Have it called once that many seconds from now."""
        timer = Timer(call)
        if len(self._timers) >= self._timers_max:
            self._timers = [each for each in self._timers if each[2].call is not None]
            heapq.heapify(self._timers)
            self._timers_max = max(_TIMERS_MIN, 2 * len(self._timers))
        heapq.heappush(self._timers, (self._clock.boot() + seconds, next(self._numbers), timer))
        return timer

    def _begin(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._wake, READ, None)
        try:
            threading.Thread(target=self._serve, name="op-channel", daemon=True).start()
        except RuntimeError:
            self._close()
            raise

    def _ring(self) -> None:
        assert self._wake is not None
        os.eventfd_write(self._wake, 1)

    def _serve(self) -> None:
        assert self._selector is not None
        while not self._stopped:
            for key, events in self._selector.select(self._patience()):
                if key.data is None:
                    with suppress(BlockingIOError):
                        os.eventfd_read(key.fd)
                elif key.fd in self._selector.get_map():  # an earlier one may have closed it
                    self._do(partial(key.data, events))
            while self._calls:
                self._do(self._calls.popleft())
            self._do_what_is_due()
        with self._lock:
            self._close()

    def _patience(self) -> float | None:
        """How long to wait for a socket; as long as it takes where no time is set."""
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if self._calls:
            return 0.0
        return max(0.0, min(_LOOK_S, self._timers[0][0] - self._clock.boot())) if self._timers else None

    def _do_what_is_due(self) -> None:
        now = self._clock.boot()
        while self._timers and self._timers[0][0] <= now:
            _, _, timer = heapq.heappop(self._timers)
            if timer.call is not None:
                self._do(timer.call)

    def _do(self, call: Callable[[], None]) -> None:
        """Whatever goes wrong with one socket is logged, and the others go on."""
        try:
            call()
        except JournalClosed:
            return
        except Exception as error:
            words = f"an op's socket: {type(error).__name__}: {error}"
            if words != self._said:
                self._said = words
                self._notices.say(words, "error", traceback="".join(traceback.format_exception(error)))

    def _close(self) -> None:
        assert self._selector is not None
        assert self._wake is not None
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        os.close(self._wake)
        self._wake = None
