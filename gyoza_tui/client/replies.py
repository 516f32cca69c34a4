"""Reading what a server replies: never more than it may be, and never as something that it is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from gyoza_tui.client.answers import NotOurAnswer
from gyoza_tui.models.limits import REPLY_MAX
from gyoza_tui.models.wire import Wire

_W = TypeVar("_W", bound=Wire)
_JSON_SPACE: Final = b" \t\r\n"


def capped(reply: httpx.Response, limit_s: float) -> bytes:
    """The body as sent. httpx's own limit is per read: a server that sends a byte a second would hold us for ever."""
    encoding = reply.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":  # never decoded: 64 MiB of it may be 64 GiB
        raise NotOurAnswer(f"an answer in an encoding nobody asked for ({encoding[:40]!a})", request=reply.request)
    content = bytearray()
    ends = time.monotonic() + limit_s
    for piece in reply.iter_raw():
        content += piece
        if time.monotonic() > ends:
            raise httpx.ReadTimeout("the answer takes too long", request=reply.request)
        if len(content) > REPLY_MAX:
            raise NotOurAnswer(f"an answer of over {REPLY_MAX} bytes", request=reply.request)
    return bytes(content)


def read_as(model: type[_W], reply: httpx.Response) -> _W | None:
    """The answer as that model; None for another shape, for a caller that needs nothing of it."""
    try:
        return model.model_validate_json(reply.content)
    except (ValidationError, RecursionError):
        return None


def parsed(answer: Any, reply: httpx.Response) -> Any:
    """The answer as that type. Raises NotOurAnswer for anything else."""
    try:
        return _reader(answer)(reply.content)
    except (ValidationError, RecursionError):
        start = reply.content[:1].strip(_JSON_SPACE)
        what = "JSON of another shape" if start in (b"{", b"[") else "not JSON"
        raise NotOurAnswer(f"not a gyoza server's answer ({what})", request=reply.request) from None


@cache
def _reader(answer: Any) -> Callable[[bytes], Any]:
    """What makes an answer of its JSON, built once. Of a single type its own: pydantic has a lock for that one."""
    if isinstance(answer, type) and issubclass(answer, Wire):
        return answer.model_validate_json
    return TypeAdapter(answer).validate_json
