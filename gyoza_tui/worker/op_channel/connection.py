"""One connection of an op: a line comes in, a line goes out, and only then is the next one taken."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gyoza_tui.worker.op_channel.budget import READ_MAX, Budget
from gyoza_tui.worker.op_channel.loop import READ, WRITE, Loop, Timer
from gyoza_tui.worker.op_channel.messages import LINE_MAX, refused

_PIECE: Final = 256 * 1024
STUCK_S: Final = 60.0
"""An op that takes nothing of an answer for so long is hung up on."""


class Connection:
    """In the loop's thread alone. Closed by the op, by the worker, and by what breaks the rules."""

    def __init__(
        self,
        sock: socket.socket,
        loop: Loop,
        budget: Budget,
        on_line: Callable[[Connection, bytes], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        self._socket = sock
        self._loop = loop
        self._budget = budget
        self._on_line = on_line
        self._on_close = on_close
        self._in = bytearray()
        self._out = memoryview(b"")
        self._searched = 0
        """Bytes of `_in` in which no line ends."""
        self._taking = False
        self._asked = False
        """A line was taken and is not answered yet."""
        self._pause: Timer | None = None
        self._patience: Timer | None = None
        self.turn = 0
        """Grows with each answer: what is found for a line that was answered by then is of no use."""
        self.closed = False
        sock.setblocking(False)
        self._watch()

    def answer(self, line: bytes) -> None:
        """To the line that was taken last."""
        if self.closed:
            return
        self._asked = False
        self.turn += 1
        self._out = memoryview(line)
        self._budget.unsent += len(line)
        self._send()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._loop.watch(self._socket, 0, self._ready)
        self._socket.close()
        for timer in (self._pause, self._patience):
            if timer is not None:
                timer.cancel()
        self._budget.read -= len(self._in)
        self._budget.unsent -= len(self._out)
        self._on_close(self)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._send()
        if events & READ and not self.closed:
            self._receive()

    def _receive(self) -> None:
        try:
            piece = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._in += piece
        self._budget.read += len(piece)
        if self._budget.read > READ_MAX:
            self.close()
            return
        self._take()

    def _take(self) -> None:
        """Every line that may be taken now. What answers one at once calls this again, and finds it at work."""
        if self._taking:
            return
        self._taking = True
        try:
            while (line := self._next_line()) is not None:
                self._on_line(self, line)
        finally:
            self._taking = False
        self._watch()

    def _next_line(self) -> bytes | None:
        """None while there is none, one is being answered, or the attempt has asked too much of late."""
        if self.closed or self._asked or self._out or self._pause is not None:
            return None
        end = self._in.find(b"\n", self._searched)
        self._searched = len(self._in)
        if max(end, 0 if end >= 0 else len(self._in)) > LINE_MAX:
            with suppress(OSError):
                self._socket.send(refused(f"a line has at most {LINE_MAX} bytes"))
            self.close()
        if self.closed or end < 0:
            return None
        line = bytes(self._in[:end])
        del self._in[: end + 1]
        self._asked, self._searched = True, 0
        self._budget.read -= end + 1
        if pause_s := self._budget.spend(end):
            self._pause = self._loop.at(pause_s, self._go_on)
        return line

    def _go_on(self) -> None:
        self._pause = None
        self._take()

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._out)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._out = self._out[sent:]
        self._budget.unsent -= sent
        if self._patience is not None and (sent or not self._out):
            self._patience.cancel()
            self._patience = None
        if self._out:
            self._patience = self._patience or self._loop.at(STUCK_S, self.close)
            self._watch()
        else:
            self._take()

    def _watch(self) -> None:
        """Read on while a line is answered, for that is how a hang-up is seen, but no more than one line."""
        if not self.closed:
            reads = READ if len(self._in) <= LINE_MAX else 0
            self._loop.watch(self._socket, reads | (WRITE if self._out else 0), self._ready)
