"""What goes over a control socket: frames of JSON, and calls of `WorkerControl` with their types.

A frame is its length in four bytes, big-endian, and one JSON object with one of these keys:

    from the worker  hello   who it is; refused  why it does not serve this one; bye  how it ends
                     push    what has changed of what it shows
                     answer  the number of an ask, with value, error or part
    from a cockpit   ask     a number, with call and arguments; the call `watch` begins the pushes

What is answered in pieces is answered by one part; the calls `more` and `drop` with the same number ask for the next
one, and for none.
"""

from __future__ import annotations

import inspect
import json
import socket
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError, from_json

from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.view.control import WorkerControl

SCHEMA: Final = 5
"""Of the calls and what they carry: grows when either changes, which a test notices."""
FRAME_MAX: Final = 32 * MIB
ASK_MAX: Final = MIB
WATCH: Final = "watch"
MORE: Final = "more"
DROP: Final = "drop"
_LENGTH: Final = struct.Struct("!I")
_CONFIG: Final = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
_T = TypeVar("_T")


class WireError(Exception):
    """What came is no frame of ours; `str()` says why."""


class Hello(NamedTuple):
    """Which worker answers. The keys of attempts are good for one instance and epoch."""

    schema: int
    version: str
    worker_id: str
    instance_id: str
    epoch: int
    pid: int
    server_url: str


class Codec(Generic[_T]):
    """A type as JSON and back."""

    def __init__(self, kind: Any) -> None:
        configurable = not hasattr(kind, "model_config") and not hasattr(kind, "__dataclass_fields__")
        self._adapter: TypeAdapter[_T] = TypeAdapter(kind, config=_CONFIG if configurable else None)

    def dump(self, value: _T) -> bytes:
        try:
            return self._adapter.dump_json(value, fallback=str)
        except PydanticSerializationError:
            # a file name that is not UTF-8
            plain = self._adapter.dump_python(value, mode="json", fallback=str)
            return json.dumps(plain, ensure_ascii=False).encode(errors="replace")

    def load(self, value: Any) -> _T:
        """`value` as JSON gives it. Raises pydantic.ValidationError."""
        return self._adapter.validate_json(json.dumps(value))

    def schema(self) -> dict[str, Any]:
        return self._adapter.json_schema()


class CallTypes(NamedTuple):
    """How one call's arguments and result are written."""

    signature: inspect.Signature
    arguments: dict[str, Codec[Any]]
    result: Codec[Any] | None
    """None: it answers piece by piece, as an iterator of bytes."""

    def dump_arguments(self, *args: Any, **more: Any) -> bytes:
        bound = self.signature.bind(None, *args, **more).arguments
        return join({name: codec.dump(bound[name]) for name, codec in self.arguments.items() if name in bound})

    def load_arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: self.arguments[name].load(value) for name, value in given.items()}


@cache
def call_types(name: str) -> CallTypes:
    """Of that method of `WorkerControl`. Raises KeyError when it has none of that name."""
    method = vars(WorkerControl).get(name)
    if name.startswith("_") or not inspect.isfunction(method):
        raise KeyError(name)
    hints = get_type_hints(method)
    result = hints.pop("return")
    pieces = result == Iterator[bytes]
    return CallTypes(
        inspect.signature(method),
        {each: Codec(kind) for each, kind in hints.items()},
        None if pieces else Codec(result),
    )


def join(parts: dict[str, bytes]) -> bytes:
    """A JSON object of values that are JSON already."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in parts.items()) + b"}"


def frame(message: bytes, limit: int = FRAME_MAX) -> bytes:
    if len(message) > limit:
        raise WireError(f"a message of {len(message)} bytes: at most {limit} are sent")
    return _LENGTH.pack(len(message)) + message


def receive(connection: socket.socket, limit: int = FRAME_MAX) -> dict[str, Any]:
    """The next message. Raises WireError for what is none of ours, OSError or EOFError when the connection is over."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > limit:
        raise WireError(f"a message of {length} bytes: at most {limit} are taken")
    try:
        message = from_json(_exactly(connection, length))
    except ValueError as error:
        raise WireError(f"no JSON: {error}") from None
    if not isinstance(message, dict):
        raise WireError("no JSON object")
    return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), MIB))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
