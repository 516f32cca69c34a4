"""An HTTP server that answers as a test says, also as no gyoza server should."""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

from gyoza_tui.client.endpoints import SERVER_ID_HEADER

SERVER_ID = "scripted"


@dataclass(frozen=True)
class Request:
    kind: str
    """beat, claim, event, patch, get, delete, or other."""
    method: str
    path: str
    query: dict[str, str]
    body: Any
    content: bytes
    headers: dict[str, str]
    at: float
    """Monotonic seconds of its arrival."""


@dataclass(frozen=True)
class Reply:
    body: Any = None
    """Bytes as they are, anything else as JSON."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    """An empty one is left out."""
    cut: bool = False
    """Promise more bytes than are sent, and hang up."""
    drop: bool = False
    """Hang up without a word."""


Answer: TypeAlias = Reply | Callable[[Request], Reply]


def refusal(status: int, code: str | None = None, detail: str = "no") -> Reply:
    return Reply({"detail": detail} | ({"code": code} if code else {}), status)


def accepted(_request: Request) -> Reply:
    return Reply({"accepted": 1})


class ScriptedServer:
    """Answers a kind of request by what `script` queued for it, then by its default.

    While its answers to heartbeats have `protocol`, each answer carries the X-Server-Id that they name, unless the
    reply has one of its own.
    """

    def __init__(self, *, port: int = 0, **defaults: Answer) -> None:
        self.defaults: dict[str, Answer] = {
            "beat": Reply({"protocol": 1, "lease_s": 30, "grace_s": 300, "heartbeat_s": 5, "server_id": SERVER_ID}),
            "claim": Reply([]),
            "event": accepted,
            "patch": Reply({"id": "r1", "image": "op"}),
            "get": refusal(404, "run_unknown"),
            "delete": Reply(None, 204),
            "other": refusal(404),
        }
        self.defaults.update(defaults)
        self._queued: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self._server_id: str | None = None
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Speak TLS, at `localhost`; before it is entered."""
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._http.server_port}"

    def script(self, kind: str, *answers: Answer) -> None:
        """The next answers to requests of that kind."""
        with self._lock:
            self._queued[kind].extend(answers)

    def of(self, kind: str) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request.kind == kind]

    def events(self) -> list[tuple[str, int | None]]:
        """Type and seq of every event sent, lists taken apart."""
        bodies = [request.body for request in self.of("event")]
        flat = [event for body in bodies for event in (body if isinstance(body, list) else [body])]
        return [(event["type"], event.get("seq")) for event in flat]

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def answer(self, request: Request) -> Reply:
        self.note(request)
        with self._lock:
            queued = self._queued[request.kind]
            answer = queued.popleft() if queued else self.defaults[request.kind]
        reply = answer(request) if callable(answer) else answer
        if request.kind == "beat" and reply.status == 200 and isinstance(reply.body, dict):
            self._server_id = reply.body.get("server_id") if "protocol" in reply.body else None
        signature = {} if self._server_id is None else {SERVER_ID_HEADER: self._server_id}
        return replace(reply, headers=signature | reply.headers)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: ScriptedServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust our certificate hangs up."""
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, else each answer takes 40 ms
    server: _Http

    def handle_any(self) -> None:
        at = time.monotonic()
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            kind=_kind(self.command, url.path),
            method=self.command,
            path=url.path,
            query={name: values[0] for name, values in parse_qs(url.query).items()},
            body=json.loads(content) if content else None,
            content=content,
            headers=dict(self.headers.items()),
            at=at,
        )
        self._send(self.server.owner.answer(request))

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server looks up

    def _send(self, reply: Reply) -> None:
        if reply.drop:
            self.close_connection = True
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if value:
                self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content) + 100 * reply.cut))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(content)
        self.close_connection = self.close_connection or reply.cut

    def log_message(self, *_: object) -> None:
        return


def _kind(method: str, path: str) -> str:
    if path == "/workers/heartbeat":
        return "beat"
    if path.startswith("/workers/"):
        return "claim" if path.endswith("/claim") else "delete"
    if path.startswith("/runs/"):
        return {"POST": "event", "PATCH": "patch", "GET": "get"}[method]
    return "other"
