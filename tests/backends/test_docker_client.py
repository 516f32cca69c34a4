"""That docker-py's inside is as it was read: what of it we rely on does what we rely on."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest
from docker import auth

from gyoza_tui.backends.docker.client import POOL_SIZE, Client

_AT_ONCE = 40
"""More than docker-py keeps pools."""
_SERVER = "registry.test:5000"
_LOGIN = {_SERVER: {"username": "you", "password": "s4"}}


class _Engine(ThreadingUnixStreamServer):
    """Answers everything with `{}`, and each of the containers when all have been asked for."""

    daemon_threads = True
    request_queue_size = _AT_ONCE

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Exchange)
        self.connections = 0
        self.builds: list[str | None] = []
        self.headers: list[str | None] = []
        self.together = threading.Barrier(_AT_ONCE)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().finish_request(request, client_address)


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Engine

    def do_GET(self) -> None:
        if "/containers/" in self.path:
            self.server.together.wait(20)
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.builds.append(self.headers.get("X-Registry-Config"))
        self._answer()

    def _answer(self) -> None:
        self.server.headers.append(self.headers.get("A"))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that is damaged, and a helper that is not there."""
    content = {"auths": {_SERVER: {"auth": "%%%"}}, "credsStore": "gone", "HttpHeaders": {"A": "b"}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[_Engine]:
    with _Engine(tmp_path / "s") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(engine: _Engine, config: None) -> Iterator[Client]:
    path = str(engine.server_address)
    client = Client(f"unix://{path}", version="1.41", timeout=20, max_pool_size=POOL_SIZE)
    client.pool_connections(path)
    yield client
    client.close()


def test_connections_are_used_again_whatever_they_are_for(client: Client, engine: _Engine) -> None:
    for number in range(60):
        client.inspect_image(f"image{number}")  # type: ignore[no-untyped-call]
    assert engine.connections == 1
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = list(threads.map(client.inspect_container, map(str, range(_AT_ONCE))))
    assert found == [{}] * _AT_ONCE
    assert engine.connections == _AT_ONCE
    for number in range(60):
        client.inspect_image(f"image{number}")  # type: ignore[no-untyped-call]
    assert engine.connections == _AT_ONCE


def test_a_build_is_given_the_logins_that_it_may_use_and_no_others(
    client: Client, engine: _Engine, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    list(client.build(path=str(tmp_path)))
    client.logins = _LOGIN
    list(client.build(path=str(tmp_path)))
    nothing, logins = engine.builds
    assert nothing is None
    assert logins is not None
    assert json.loads(base64.urlsafe_b64decode(logins)) == _LOGIN


def test_no_helper_is_asked_for_a_login(client: Client) -> None:
    assert auth.get_config_header(client, _SERVER) is None


def test_the_rest_of_the_configuration_is_used(client: Client, engine: _Engine) -> None:
    client.version()
    assert engine.headers == ["b"]
