"""Every path, once, and the same on both sides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gyoza_tui.client import GyozaClient, endpoints
from gyoza_tui.client.endpoints import Endpoint
from gyoza_tui.server.app import create_app
from gyoza_tui.server.database import Database
from tests.client.scripted import ScriptedServer, answer

ALL = [value for value in vars(endpoints).values() if isinstance(value, Endpoint)]


def test_the_table_is_what_the_server_serves(tmp_path: Path) -> None:
    served = create_app(Database.open(f"sqlite:///{tmp_path / 'server.db'}")).openapi()["paths"]
    ours = {(endpoint.method, _bare(endpoint.path)) for endpoint in ALL}
    theirs = {(method.upper(), _bare(path)) for path, methods in served.items() for method in methods}
    assert ours == theirs


def _bare(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.mark.parametrize(
    ("run_id", "path"),
    [
        ("run_abc123", "/runs/run_abc123"),
        ("a/b", "/runs/a%2Fb"),
        ("../workers", "/runs/..%2Fworkers"),
        ("..", "/runs/%2E%2E"),
        (".", "/runs/%2E"),
        ("a.b", "/runs/a.b"),
        ("a?b#c%d", "/runs/a%3Fb%23c%25d"),
        ("a b\r\nX: y", "/runs/a%20b%0D%0AX%3A%20y"),
        ("é餃", "/runs/%C3%A9%E9%A4%83"),
        ("\udc80", "/runs/%ED%B2%80"),
    ],
)
def test_an_id_is_never_more_than_one_segment(run_id: str, path: str) -> None:
    assert endpoints.GET_RUN.url(run_id=run_id) == path
    with ScriptedServer(lambda _request: [answer(b'{"id": "x", "image": "busybox"}')]) as server:
        with GyozaClient(server.url) as client:
            client.get_run(run_id)
        line = server.requests[0].split(b"\r\n")[0].decode()
    assert line == f"GET {path} HTTP/1.1"
