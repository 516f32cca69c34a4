"""Prometheus text over HTTP on a port of its own, and what else a machine looks at there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gyoza_tui.models.listen_address import ListenAddress

METRICS: Final = "/metrics"
_TEXT: Final = "text/plain; charset=utf-8"
_BACKLOG: Final = 16
_ANSWERED_AT_ONCE: Final = 8
"""Further connections are closed: whoever scrapes tries again."""
_SILENT_S: Final = 5.0
"""After which a connection that says nothing is closed."""
_NO_DESCRIPTOR_S: Final = 1.0


class Page(NamedTuple):
    """What is answered at one path."""

    body: bytes
    content_type: str = _TEXT
    status: HTTPStatus = HTTPStatus.OK


class MetricsEndpoint:
    """Bound when it is made, answers from `start` to `close`. Nothing is computed until somebody asks."""

    def __init__(
        self, address: ListenAddress, collector: Collector, pages: Mapping[str, Callable[[], Page]] | None = None
    ) -> None:
        """Raises OSError when there is no listening at that address."""
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._pages = pages or {}
        self._listener = _listening(address)
        self._free = threading.BoundedSemaphore(_ANSWERED_AT_ONCE)
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{ListenAddress(*self._listener.getsockname()[:2])}{METRICS}"

    def start(self) -> None:
        threading.Thread(target=self._accept, name="metrics", daemon=True).start()

    def close(self) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept that waits
        self._listener.close()

    def page(self, path: str, accept: str) -> Page:
        """What is answered to a GET of `path`."""
        if path == METRICS:
            encode, content_type = choose_encoder(accept)
            return Page(encode(self._registry), content_type)
        if path in self._pages:
            return self._pages[path]()
        return Page(f"{METRICS} is here\n".encode(), status=HTTPStatus.NOT_FOUND)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                self._stopped.wait(_NO_DESCRIPTOR_S)
                continue
            if not self._free.acquire(blocking=False):
                connection.close()
                continue
            try:
                threading.Thread(target=self._answer, args=(connection, peer), name="scrape", daemon=True).start()
            except RuntimeError:  # no memory for a thread
                self._free.release()
                connection.close()

    def _answer(self, connection: socket.socket, peer: object) -> None:
        try:
            with connection, suppress(OSError):
                connection.settimeout(_SILENT_S)
                _Request(connection, peer, self)
        finally:
            self._free.release()


class _Request(BaseHTTPRequestHandler):
    """One request, after which the connection is closed."""

    server_version = "gyoza-tui"
    sys_version = ""

    def __init__(self, connection: socket.socket, peer: object, endpoint: MetricsEndpoint) -> None:
        self._endpoint = endpoint
        super().__init__(connection, peer, endpoint)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        try:
            page = self._endpoint.page(urlsplit(self.path).path, self.headers.get("Accept", ""))
        except Exception as error:
            page = Page(f"{type(error).__name__}\n".encode(), status=HTTPStatus.INTERNAL_SERVER_ERROR)
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as http.server calls it
        """Nothing: stderr may be a screen's."""


def _listening(address: ListenAddress) -> socket.socket:
    family, kind, protocol, _, found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
