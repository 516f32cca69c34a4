"""What holds for every request before any of our code reads it: its key, size and content type, and who answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.limits import EVENT_MAX, KIB, MIB, REQUEST_MAX
from gyoza_tui.server import connections
from gyoza_tui.server.keys import Keys
from gyoza_tui.server.roles import SCOPE_KEY

HEALTH = "/health"
OPEN_PATHS = frozenset({HEALTH, "/docs", "/openapi.json"})
"""Answered without a key: they hold nothing of the cluster."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BODY_MAX: Final = (
    (re.compile("/runs/[^/]+(/events)?"), REQUEST_MAX),
    (re.compile("/runs|/definitions(/[^/]+/runs)?"), 4 * MIB),
    (re.compile("/workers/heartbeat|/workers/[^/]+/claim|/ended"), 2 * MIB),
)
"""Bytes of a body by the path: outputs; inputs, which may be written with escapes, and their op; many runs listed."""


def body_max(path: str) -> int:
    """Bytes that a request's body may have."""
    return next((size for paths, size in _BODY_MAX if paths.fullmatch(path)), EVENT_MAX)


class _TooLarge(Exception):
    """The body is over the limit."""


class Door:
    """ASGI middleware: the key, the body's size and content type, and `X-Server-Id` on every answer.

    `answered` counts answers by method, path as its route has it, and status.
    """

    def __init__(
        self, app: ASGIApp, *, keys: Keys, own_key: Path | None, server_id: str, answered: Counter[tuple[str, str, int]]
    ) -> None:
        self._app = app
        self._keys = keys
        self._no_key = "the API key is missing or wrong: send X-API-Key"
        if own_key is not None:
            self._no_key += f"; the key of this server is in {own_key}"
        self._server_id = server_id.encode()
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        role = self._keys.role_of(header(scope, b"x-api-key") or b"")
        inner = {**scope, SCOPE_KEY: role}

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered[_method(scope), _path(inner), message["status"]] += 1
                message["headers"] = [*message.get("headers", []), (b"x-server-id", self._server_id)]
            await send(message)

        if role is None and scope["path"] not in OPEN_PATHS:
            await answer(signed, 401, ErrorCode.UNAUTHORIZED, self._no_key)
            return
        if role is not None:
            connections.accepted(scope)
        most = body_max(scope["path"])
        try:
            body = await _body(scope, receive, most)
        except _TooLarge:
            await answer(signed, 413, ErrorCode.LIMIT, f"the body of this request has at most {most // KIB} KiB")
            return
        if body and not _is_json(scope):
            await answer(signed, 415, ErrorCode.INVALID, "a body is JSON: send Content-Type: application/json")
        elif body is not None:
            await self._app(inner, _replayed(body, receive), signed)


def _method(scope: Scope) -> str:
    """One of those that there are; a client may send any word."""
    method: str = scope["method"]
    return method if method in _METHODS else "OTHER"


def _path(scope: Scope) -> str:
    """As the route has it that was found, with names in place of ids; without one the same for all."""
    return getattr(scope.get("route"), "path", "")


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first of that name, which is in lower case; None when there is none."""
    return next((value for each, value in scope["headers"] if each == name), None)


def _is_json(scope: Scope) -> bool:
    """A web page cannot send this type to another origin without asking first."""
    media_type = (header(scope, b"content-type") or b"").partition(b";")[0]
    return media_type.strip().lower() == b"application/json"


async def _body(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The whole body; None when the client hung up while sending it."""
    length = header(scope, b"content-length")
    if length is not None and int(length) > most:
        raise _TooLarge
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            raise _TooLarge
        more = message.get("more_body", False)
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def answer(send: Send, status: int, code: ErrorCode, detail: str) -> None:
    """Refuse a request."""
    content = json.dumps({"detail": detail, "code": code}).encode()
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
