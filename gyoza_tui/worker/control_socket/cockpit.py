"""One cockpit at a worker's control socket: what it asks is answered, what is new to it is sent."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from pydantic import ValidationError

from gyoza_tui.worker.control_socket.parts import Difference, Shown
from gyoza_tui.worker.control_socket.wire import WATCH, Codec, WireError, call_types, frame, join, receive
from gyoza_tui.worker.view.control import ControlError, WorkerControl

SEND_S: Final = 5.0
"""How long a cockpit may take nothing before it is let go: one that was stopped comes back by itself."""
_AT_ONCE: Final = 8
"""Calls that wait for a disk, an engine or the server."""
_PIECE: Final = 256 * 1024
_BYTES: Final[Codec[bytes]] = Codec(bytes)
_TIMEVAL: Final = struct.Struct("@ll")
COMMANDS: Final = frozenset({"pause", "resume", "end", "undo_drain", "cancel", "release", "try_now"})
"""They return at once, in the order in which they came; what they bring about is sent before their answer."""


class Cockpit:
    """Has two threads, one that reads and one that sends. Nothing here makes the worker wait."""

    def __init__(
        self,
        connection: socket.socket,
        control: WorkerControl,
        shown: Callable[[], Shown],
        over: Callable[[Cockpit], None],
    ) -> None:
        """`shown` is what the worker shows now; `over` is called once when the connection is."""
        self._connection = connection
        self._control = control
        self._now = shown
        self._over = over
        self._ready = threading.Condition()
        self._answers: deque[bytes] = deque()
        self._latest: Shown | None = None
        self._closing = False
        self._difference = Difference()
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self.watches = False
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(SEND_S), 0))

    def start(self, hello: bytes) -> None:
        self._answers.append(hello)
        for work, name in ((self._read, "cockpit-read"), (self._send, "cockpit-send")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def show(self, shown: Shown) -> None:
        """What is to be sent next, in place of what was not sent yet."""
        with self._ready:
            self._latest = shown
            self._ready.notify()

    def close(self, last: bytes | None = None) -> None:
        """Send `last`, then end the connection."""
        with self._ready:
            if last is not None:
                self._answers.append(last)
            self._closing = True
            self._ready.notify()

    def _read(self) -> None:
        with suppress(OSError, EOFError, WireError):
            while True:
                self._take(receive(self._connection))
        self.close()
        self._over(self)

    def _take(self, message: dict[str, Any]) -> None:
        number, call, given = message.get("ask"), message.get("call"), message.get("with", {})
        if not isinstance(number, int) or not isinstance(call, str) or not isinstance(given, dict):
            raise WireError("no ask")
        if call == WATCH:
            self.watches = True
            self.show(self._now())
            self._answer(number, value=b"null")
        elif call in COMMANDS:
            self._do(number, call, given)
        else:
            self._free.acquire()
            threading.Thread(target=self._do_beside, args=(number, call, given), name=call, daemon=True).start()

    def _do_beside(self, number: int, call: str, given: dict[str, Any]) -> None:
        try:
            self._do(number, call, given)
        finally:
            self._free.release()

    def _do(self, number: int, call: str, given: dict[str, Any]) -> None:
        try:
            types = call_types(call)
            result = getattr(self._control, call)(**types.load_arguments(given))
            if call in COMMANDS and self.watches:
                self.show(self._now())
            if types.result is None:
                self._answer_in_pieces(number, result)
            else:
                self._answer(number, value=types.result.dump(result))
        except (ControlError, KeyError, ValidationError, TypeError) as error:
            kind = "unknown" if isinstance(error, KeyError) else "control"
            self._answer(number, error=json.dumps([kind, str(error)]).encode())

    def _answer_in_pieces(self, number: int, pieces: Iterator[bytes]) -> None:
        """No more of them are kept than the cockpit takes."""
        for piece in pieces:
            for begin in range(0, len(piece), _PIECE):
                self._answer(number, part=_BYTES.dump(piece[begin : begin + _PIECE]))
                with self._ready:
                    while self._answers and not self._closing:
                        self._ready.wait()
                    if self._closing:
                        return
        self._answer(number, value=b"null")

    def _answer(self, number: int, **parts: bytes) -> None:
        with self._ready:
            self._answers.append(join({"answer": b"%d" % number, **parts}))
            self._ready.notify_all()

    def _send(self) -> None:
        try:
            while (message := self._next()) is not None:
                self._connection.sendall(frame(message))
        except (OSError, WireError):
            pass
        finally:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()

    def _next(self) -> bytes | None:
        """What is new before what was asked: an answer finds what it brought about on the screen."""
        with self._ready:
            while True:
                if self._latest is not None:
                    latest, self._latest = self._latest, None
                    if new := self._difference.take(latest):
                        return join({"push": join(new)})
                if self._answers:
                    answer = self._answers.popleft()
                    self._ready.notify_all()
                    return answer
                if self._closing:
                    return None
                self._ready.wait()
