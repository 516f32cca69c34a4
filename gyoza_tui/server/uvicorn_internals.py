"""All that we rely on of uvicorn without its documentation, as read at 0.54.0."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

__all__ = ["HttpConnection", "OrderlyServer", "ServerState", "owns_process"]


class HttpConnection(H11Protocol):
    """Uvicorn's own, which says what it waits for."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits_for_header(self) -> bool:
        """Whether one is due: the first, or the rest of one that has begun."""
        begun = self.cycle is None or self.conn.trailing_data[0] != b""
        return self.conn.their_state is h11.IDLE and begun

    @property
    def waits_for_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY


class OrderlyServer(uvicorn.Server):
    """A signal ends it, and nothing else: uvicorn's own raises it again at the end, and the process would end by it."""

    def __init__(self, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config)
        self.server_state = state

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if not owns_process():
            yield
            return
        before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True


def owns_process() -> bool:
    """A server in another thread than the main one is a guest: the process is not its to end."""
    return threading.current_thread() is threading.main_thread()
