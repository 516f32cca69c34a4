"""A connection to a worker's control socket, as a cockpit has it: asks and their answers, and what is pushed."""

from __future__ import annotations

import itertools
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from gyoza_tui import __version__
from gyoza_tui.worker.control_socket import address
from gyoza_tui.worker.control_socket.wire import (
    ASK_MAX,
    DROP,
    MORE,
    SCHEMA,
    WATCH,
    Codec,
    Hello,
    WireError,
    call_types,
    frame,
    join,
    receive,
)
from gyoza_tui.worker.view.control import ControlError

CONNECT_S: Final = 3.0
"""A worker that takes longer hangs."""
ANSWER_S: Final = 30.0
_SEND_S: Final = 0.5
"""A worker that takes nothing for so long, with all that a socket holds unread, hangs."""
_TIMEVAL: Final = struct.Struct("@ll")
_AWAY: Final = "the worker does not answer: the connection to it is lost"
_HELLO: Final[Codec[Hello]] = Codec(Hello)
_TEXT: Final[Codec[str]] = Codec(str)
_BYTES: Final[Codec[bytes]] = Codec(bytes)
_Answers: TypeAlias = "queue.SimpleQueue[dict[str, Any]]"
_OVER: Final[dict[str, Any]] = {"error": ["control", _AWAY]}


class AttachError(Exception):
    """No worker can be looked at there; `str()` says why and what to do."""


class NobodyListens(AttachError):
    """There is no worker, or it has no socket."""


class Refused(AttachError):
    """The worker answers, and does not serve this cockpit."""


class Connection:
    """Greeted by a worker. One thread reads; any may ask."""

    def __init__(self, root: Path) -> None:
        """To the worker with that state directory. Raises AttachError."""
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, _Answers] = {}
        self._over = False
        self._socket = _connect(root)
        try:
            self.worker_uid = address.peer_uid(self._socket)
            self.hello = _greeted(receive(self._socket))
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(0, int(_SEND_S * 1e6)))
        except (OSError, EOFError, WireError):
            self._socket.close()
            raise AttachError(f"the worker does not answer at {root / address.NAME}") from None
        except BaseException:
            self._socket.close()
            raise

    def watch(self) -> None:
        """Let what the worker shows be pushed."""
        self._send(next(self._numbers), WATCH)

    def read(self, heard: Callable[[dict[str, Any]], None]) -> None:
        """Until the connection is over; `heard` gets each message that answers nothing that was asked."""
        try:
            with suppress(OSError, EOFError, WireError):
                while True:
                    message = receive(self._socket)
                    if "answer" not in message:
                        heard(message)
                    elif answers := self._waiting.get(message["answer"]):
                        answers.put(message)
        finally:
            self.close()

    def ask(self, call: str, *args: Any, timeout_s: float = ANSWER_S, **more: Any) -> Any:
        """The call's result. Raises what it raises, and TimeoutError; ControlError when the connection is over."""
        types = call_types(call)
        with self._asked(call, *args, **more) as (_, answers):
            answer = _next(answers, timeout_s)
            assert types.result is not None, "it answers in pieces"
            return types.result.load(answer.get("value"))

    def pieces(self, call: str, *args: Any) -> Iterator[bytes]:
        """What the call yields. Raises as `ask` does; one that is not read to its end costs the worker nothing."""
        with self._asked(call, *args) as (number, answers):
            answer: dict[str, Any] = {"part": ""}
            try:
                while "part" in (answer := _next(answers, ANSWER_S)):
                    yield _BYTES.load(answer["part"])
                    self._send(number, MORE)
            finally:
                if "part" in answer:
                    self._send(number, DROP)

    def close(self) -> None:
        with self._lock:
            self._over = True
            waiting = list(self._waiting.values())
        for answers in waiting:
            answers.put(_OVER)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @contextmanager
    def _asked(self, call: str, *args: Any, **more: Any) -> Iterator[tuple[int, _Answers]]:
        number, answers = next(self._numbers), queue.SimpleQueue[dict[str, Any]]()
        with self._lock:
            if self._over:
                raise ControlError(_AWAY)
            self._waiting[number] = answers
        try:
            self._send(number, call, call_types(call).dump_arguments(*args, **more))
            yield number, answers
        finally:
            del self._waiting[number]

    def _send(self, number: int, call: str, given: bytes = b"{}") -> None:
        try:
            message = frame(join({"ask": b"%d" % number, "call": _TEXT.dump(call), "with": given}), ASK_MAX)
        except WireError as error:
            raise ControlError(str(error)) from None
        with self._sending:
            try:
                self._socket.sendall(message)
            except OSError:
                with suppress(OSError):  # the one who reads finds out, after what was sent before
                    self._socket.shutdown(socket.SHUT_RDWR)


def _next(answers: _Answers, timeout_s: float) -> dict[str, Any]:
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError from None
    if "error" in answer:
        kind, words = answer["error"]
        raise KeyError(words) if kind == "unknown" else ControlError(words)
    return answer


def _connect(root: Path) -> socket.socket:
    try:
        return address.connect(root, CONNECT_S)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NobodyListens(f"no worker listens at {root / address.NAME}") from None
    except OSError as error:
        raise AttachError(f"{root / address.NAME}: {error.strerror or 'the worker does not answer'}") from None


def _greeted(message: dict[str, Any]) -> Hello:
    if "refused" in message:
        raise Refused(str(message["refused"]))
    found = message.get("hello")
    schema, version = found[:2] if isinstance(found, list) and len(found) >= 2 else (None, "of another version")
    if schema != SCHEMA:
        raise Refused(
            f"the worker is gyoza-tui {version}, this is {__version__}: the two do not understand each other. "
            "Attach with that version, or start the worker again with this one"
        )
    try:
        return _HELLO.load(found)
    except ValidationError:
        raise Refused("the worker's hello is not understood") from None
