"""Connections: how long each may take to send a request, and how many may be open without one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import struct
import time
from typing import Any, Final

from starlette.types import Scope

from gyoza_tui.server.uvicorn_internals import HttpConnection, ServerState

HEADER_S: Final = 15.0
BODY_S: Final = 120.0
UNREAD_S: Final = 60.0
"""For the client to read the next part of an answer."""
_STRANGERS_MAX: Final = 1024
_OWN_DESCRIPTORS: Final = 96
"""Descriptors for the database, and for connections that are accepted before others are closed."""
_LOGGED_EVERY_S: Final = 60.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_SCOPE_STATE: Final = "gyoza.connection"
_LOG = logging.getLogger(__name__)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        _LOG.warning("the limit of open files stays at %d: %s", soft, error)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if limit == resource.RLIM_INFINITY else limit


def accepted(scope: Scope) -> None:
    """Note that the connection of this request has sent one that was accepted."""
    connection: Connection | None = scope.get("state", {}).get(_SCOPE_STATE)
    if connection is not None:
        connection.crowd.know(connection)


class Crowd(ServerState):
    """All connections of a server. A stranger is one without an accepted request.

    When there are too many strangers the oldest is closed, so that a flood of them keeps no client out. When the
    descriptors run out an idle connection is closed, else the new one: requests under way go on.
    """

    def __init__(self, descriptors: int) -> None:
        super().__init__()
        self._strangers: dict[Connection, None] = {}
        self._strangers_max = min(_STRANGERS_MAX, descriptors // 4)
        self._max = max(descriptors - _OWN_DESCRIPTORS, descriptors // 4)
        self._logged_at: float | None = None

    def enter(self, connection: Connection) -> None:
        self._strangers[connection] = None
        if len(self._strangers) > self._strangers_max:
            self._close(next(iter(self._strangers)))
        if len(self.connections) > self._max:
            idle = (one for one in self.connections if isinstance(one, Connection) and one.idle)
            self._close(next(idle, connection))

    def know(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)

    def _close(self, connection: Connection) -> None:
        self.leave(connection)
        self.connections.discard(connection)
        connection.reset()

    def on_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log that no connection can be accepted, at most once a minute: asyncio reports it with each try."""
        if not isinstance(context.get("exception"), OSError) or "accept" not in context.get("message", ""):
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at > _LOGGED_EVERY_S:
            self._logged_at = now
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            _LOG.error(
                "no connection can be accepted now (%s) and this is tried again: raise the limit of open files, "
                "which is %d (`ulimit -n`)",
                context["exception"],
                limit,
            )


class Connection(HttpConnection):
    """With a time limit for each header, each body, and each part of an answer."""

    def __init__(
        self,
        config: Any,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, _SCOPE_STATE: self}, _loop)
        assert isinstance(server_state, Crowd)
        self.crowd = server_state
        self._limit_s: float | None = None
        self._end_of_request: asyncio.TimerHandle | None = None
        self._end_of_reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.crowd.enter(self)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.crowd.leave(self)
        for timer in (self._end_of_request, self._end_of_reading):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """A limit counts from when the header or the body began; what comes of it in between does not extend it."""
        limit_s = self._limit_of_state()
        if limit_s == self._limit_s:
            return
        self._limit_s = limit_s
        if self._end_of_request is not None:
            self._end_of_request.cancel()
        self._end_of_request = None if limit_s is None else self.loop.call_later(limit_s, self.reset)

    def _limit_of_state(self) -> float | None:
        if self.waits_for_body:
            return BODY_S
        return HEADER_S if self.waits_for_header else None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_of_reading = self.loop.call_later(UNREAD_S, self.reset)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._end_of_reading is not None:
            self._end_of_reading.cancel()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # closing waits until the client has read all
        self.loop.call_later(UNREAD_S, self.reset)

    def reset(self) -> None:
        """Close it at once; the kernel does not go on sending what is not read."""
        with contextlib.suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()
