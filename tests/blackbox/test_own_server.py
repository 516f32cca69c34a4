"""`serve` without a key configured: its user's commands find the key, and no one else gets it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.commands import Started, installed
from tests.scripted_server import Reply, ScriptedServer
from tests.waiting import until

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "GYOZA_MIN_FREE_MB": "0"}


def served(
    home: Path, *flags: str, port: int = 0, env: Mapping[str, str] | None = None, name: str = "serve"
) -> Started:
    return Started(home, "serve", "--port", str(port), *flags, env=env, name=name)


def url_of(server: Started) -> str:
    def url() -> str:
        assert server.process.poll() is None, server.said
        return next((word.strip(",;") for word in server.said.split() if word.startswith("http")), "")

    return until(url, "the server's address", 60)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_the_commands_of_its_user_find_the_key(tmp_path: Path) -> None:
    key_file = tmp_path / "state" / "serve" / "key"
    with served(tmp_path) as server:
        url = url_of(server)
        assert str(key_file) in server.said
        named = {"GYOZA_SERVER_URL": f"http://localhost:{port_of(url)}", **NO_DOCKER}
        assert httpx.get(f"{url}/runs").status_code == 401
        assert key_file.read_text().strip() not in server.said
        (tmp_path / "ops.toml").write_text('[ops.well]\ncommand = ["echo", "well"]\n')
        with Started(tmp_path, "--no-ui", "--ops-file", "ops.toml", env=named, name="worker") as worker:
            done = installed(tmp_path, "submit", "local://well", "--wait", env=named)
            assert done.returncode == 0, done.stderr + worker.said
        shown = installed(tmp_path, "config", "show", env=named)
        assert ["GYOZA_API_KEY", "**********", str(key_file)] in [line.split() for line in shown.stdout.splitlines()]
        checked = installed(tmp_path, "check", env=named)
        assert "the server takes it" in checked.stdout
        refused = installed(tmp_path, "runs", env=named | {"GYOZA_API_KEY": "of-another-server"})
        assert (refused.returncode, str(key_file) in refused.stderr) == (2, True), refused.stderr
        server.process.terminate()
        assert server.process.wait(20) == 0
    assert os.listdir(key_file.parent) == ["key"]


def test_a_worker_that_was_first_finds_the_key_later(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    named = {"GYOZA_SERVER_URL": f"http://localhost:{port}", "GYOZA_HEARTBEAT_S": "0.5", **NO_DOCKER}
    with Started(tmp_path, "--no-ui", env=named, name="worker") as worker:
        until(lambda: "connection refused" in worker.said, "a try")
        with served(tmp_path, port=port):
            until(lambda: "the server answers" in worker.said, "its first beat", 30)


def test_the_key_does_not_go_to_who_has_the_port_after_a_kill(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        url = url_of(server)
        named = {"GYOZA_SERVER_URL": url, "GYOZA_HEARTBEAT_S": "0.3", **NO_DOCKER}
        key = (tmp_path / "state" / "serve" / "key").read_text().strip()
        with Started(tmp_path, "--no-ui", env=named, name="worker") as worker:
            until(lambda: "the server answers" in worker.said, "its first beat")
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(20)
            with ScriptedServer(port=port_of(url), other=Reply([])) as impostor:
                until(lambda: impostor.of("beat"), "a beat")
                installed(tmp_path, "runs", env=named)
                until(lambda: impostor.of("other"), "the verb's request")
    asked = [dict(request.headers) | {"query": str(request.query)} for request in impostor.requests]
    assert key not in str(asked)


def test_it_is_withdrawn_before_its_port_is_free(tmp_path: Path) -> None:
    """From then on another process may listen there."""
    with served(tmp_path) as server:
        port = port_of(url_of(server))
        file = tmp_path / "state" / "serve" / f"{port}.json"
        until(file.exists, "its announcement")
        with socket.create_connection(("127.0.0.1", port), 5) as unfinished:
            unfinished.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
            server.process.terminate()
            until(lambda: _is_free(port), "the port is free")
            assert not file.exists()
        assert server.process.wait(20) == 0


def _is_free(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False
