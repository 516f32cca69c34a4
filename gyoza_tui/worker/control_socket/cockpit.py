"""One cockpit at a worker's control socket: what it asks is answered, what is new to it is sent."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Queue
from typing import Any, Final, NamedTuple

from gyoza_tui.worker.control_socket.parts import Difference, Shown
from gyoza_tui.worker.control_socket.wire import (
    ASK_MAX,
    DROP,
    MORE,
    WATCH,
    Codec,
    WireError,
    call_types,
    frame,
    join,
    receive,
)
from gyoza_tui.worker.view.control import ControlError, WorkerControl

SEND_S: Final = 5.0
"""How long a cockpit may take nothing before it is let go: one that was stopped comes back by itself."""
AT_ONCE: Final = 8
"""Calls that wait for a disk, an engine or the server."""
_UNSENT: Final = 16
"""A cockpit that has not taken so many answers is not listened to."""
_UNDONE: Final = 16
"""Nor one whose commands are not done."""
_PIECE: Final = 256 * 1024
_BYTES: Final[Codec[bytes]] = Codec(bytes)
_TIMEVAL: Final = struct.Struct("@ll")
_IN_ORDER: Final = frozenset({WATCH, "pause", "resume", "end", "stop", "undo_drain", "cancel", "release", "try_now"})
"""They return at once, in the order in which they came; what they bring about is sent before their answer."""


class _Ask(NamedTuple):
    number: int
    call: str
    given: dict[str, Any]


class Cockpit:
    """Has a thread that reads, one that does commands and one that sends. Nothing here makes the worker wait."""

    def __init__(
        self,
        connection: socket.socket,
        control: WorkerControl,
        refresh: Callable[[], None],
        over: Callable[[Cockpit], None],
    ) -> None:
        """`refresh` shows every cockpit what the worker shows now; `over` is called once when the connection is."""
        self._connection = connection
        self._control = control
        self._refresh = refresh
        self._over = over
        self._ready = threading.Condition()
        self._answers: deque[bytes] = deque()
        self._latest: Shown | None = None
        self._closing = False
        self._gone = threading.Event()
        self._difference = Difference()
        self._commands: Queue[_Ask | None] = Queue(_UNDONE)
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._pieces: dict[int, Iterator[bytes]] = {}
        """By the number of their ask: what has been answered in part."""
        self.watches = False
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(SEND_S), 0))

    def start(self, hello: bytes) -> None:
        """Raises RuntimeError when there can be no more threads."""
        self._answers.append(frame(hello))
        try:
            for work, name in ((self._send, "send"), (self._command, "command"), (self._read, "read")):
                threading.Thread(target=work, name=f"cockpit-{name}", daemon=True).start()
        except RuntimeError:
            self._commands.put(None)
            self.close()
            raise

    def show(self, shown: Shown) -> None:
        """What is to be sent next, in place of what was not sent yet."""
        with self._ready:
            self._latest = shown
            self._ready.notify_all()

    def close(self, last: bytes | None = None) -> None:
        """Send `last`, then end the connection."""
        with self._ready:
            if last is not None:
                self._answers.append(frame(last))
            self._closing = True
            self._ready.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Until the connection is over."""
        self._gone.wait(timeout_s)

    def _read(self) -> None:
        try:
            with suppress(OSError, EOFError, WireError):
                while self._listens():
                    self._take(receive(self._connection, ASK_MAX))
        finally:
            self.close()
            self._commands.put(None)

    def _listens(self) -> bool:
        """Once it has taken its answers; whether the connection goes on."""
        with self._ready:
            self._ready.wait_for(lambda: self._closing or len(self._answers) < _UNSENT)
            return not self._closing

    def _take(self, message: dict[str, Any]) -> None:
        number, call, given = message.get("ask"), message.get("call"), message.get("with", {})
        if not isinstance(number, int) or not isinstance(call, str) or not isinstance(given, dict):
            raise WireError("no ask")
        ask = _Ask(number, call, given)
        if call in _IN_ORDER:
            self._commands.put(ask)
        elif call == DROP:
            self._pieces.pop(number, None)
        elif self._free.acquire(blocking=False):
            try:
                threading.Thread(target=self._do_beside, args=(ask,), name=call, daemon=True).start()
            except RuntimeError:
                self._free.release()
                self._answer(number, _failed("control", "the worker can start no thread for it now: try again"))
        else:
            self._answer(number, _failed("control", f"the worker has {AT_ONCE} things to answer first"))

    def _command(self) -> None:
        while (ask := self._commands.get()) is not None:
            self._answer(ask.number, self._done(ask))

    def _do_beside(self, ask: _Ask) -> None:
        try:
            done = self._done(ask)
        finally:
            self._free.release()
        self._answer(ask.number, done)

    def _done(self, ask: _Ask) -> dict[str, bytes]:
        """What is answered to it."""
        try:
            return self._result(ask)
        except KeyError as error:
            return _failed("unknown", str(error))
        except Exception as error:
            return _failed("control", str(error) or repr(error))

    def _result(self, ask: _Ask) -> dict[str, bytes]:
        if ask.call == WATCH:
            self.watches = True
            self._refresh()
            return {"value": b"null"}
        if ask.call == MORE:
            return self._piece(ask.number, self._pieces.pop(ask.number))
        types = call_types(ask.call)
        result = getattr(self._control, ask.call)(**types.load_arguments(ask.given))
        if types.result is None:
            return self._piece(ask.number, _pieces_of(result))
        if ask.call in _IN_ORDER:
            self._refresh()
        return {"value": types.result.dump(result)}

    def _piece(self, number: int, pieces: Iterator[bytes]) -> dict[str, bytes]:
        """The next of them is read when the cockpit asks for it."""
        piece = next(pieces, None)
        if piece is None:
            return {"value": b"null"}
        if len(self._pieces) >= AT_ONCE:
            raise ControlError(f"{AT_ONCE} logs are read already: try again when one is done")
        self._pieces[number] = pieces
        return {"part": _BYTES.dump(piece)}

    def _answer(self, number: int, parts: dict[str, bytes]) -> None:
        head = {"answer": b"%d" % number}
        try:
            answer = frame(join(head | parts))
        except WireError as error:
            answer = frame(join(head | _failed("control", str(error))))
        with self._ready:
            self._answers.append(answer)
            self._ready.notify_all()

    def _send(self) -> None:
        try:
            with suppress(OSError, WireError):
                while (message := self._next()) is not None:
                    self._connection.sendall(message)
        finally:
            self.close()
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()
            self._pieces.clear()
            self._gone.set()
            self._over(self)

    def _next(self) -> bytes | None:
        """What is new before what was asked: an answer finds what it brought about on the screen."""
        with self._ready:
            while True:
                if self._latest is not None:
                    latest, self._latest = self._latest, None
                    if new := self._difference.take(latest):
                        return frame(join({"push": join(new)}))
                if self._answers:
                    answer = self._answers.popleft()
                    self._ready.notify_all()
                    return answer
                if self._closing:
                    return None
                self._ready.wait()


def _failed(kind: str, words: str) -> dict[str, bytes]:
    return {"error": json.dumps([kind, words]).encode()}


def _pieces_of(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, as much at once as is sent at once."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= _PIECE:
            yield bytes(held[:_PIECE])
            del held[:_PIECE]
    if held:
        yield bytes(held)
