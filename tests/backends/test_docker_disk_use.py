"""What a container has written, where the engine has to count it."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.backends.docker import disk_use
from gyoza_tui.backends.docker.disk_use import WrittenReader
from gyoza_tui.backends.docker.engine import Engine


class _Slow(socketserver.StreamRequestHandler):
    """Tells its version and answers nothing else."""

    over = threading.Event()

    def handle(self) -> None:
        if b"/version" not in self.rfile.readline():
            self.over.wait(30)
            return
        body = json.dumps({"ApiVersion": "1.44"})
        self.wfile.write(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


@pytest.fixture
def slow_engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Engine({"DOCKER_HOST": f"unix://{path}"})
        _Slow.over.set()
        server.shutdown()


def test_an_engine_that_counts_for_long_was_not_away(slow_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that fails at that time would not be charged for it."""
    monkeypatch.setattr(disk_use, "QUICK_TIMEOUT_S", 1.0)
    containers: Any = SimpleNamespace(inspect=lambda _: {"Mounts": []})
    with pytest.raises(BackendUnavailable, match="not answer in time"):
        WrittenReader(slow_engine, containers).read("c1")
    assert slow_engine.troubles.count == 0
    with pytest.raises(BackendUnavailable), slow_engine.api(1.0) as api:
        api.info()
    assert slow_engine.troubles.count == 1
