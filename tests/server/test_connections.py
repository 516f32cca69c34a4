"""Connections that send no request, half of one, or do not read: they are closed, and others are not disturbed."""

from __future__ import annotations

import asyncio
import errno
import re
import select
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from gyoza_tui.server import connections
from tests.commands import COMMAND, environment
from tests.servers import KEY, ServerThread
from tests.waiting import until

SHORT_S = 0.8
SOON_S = 10.0
"""Sooner than without the test's setting."""
REQUEST = f"GET /runs HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\n".encode()
POST = f"POST /runs HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n".encode()


def connected(url: str) -> socket.socket:
    to = urlsplit(url)
    assert to.hostname
    assert to.port
    return socket.create_connection((to.hostname, to.port), timeout=10)


def closed(connection: socket.socket) -> bool:
    """Whether the server has closed it; what it answered before is read."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /he", REQUEST, REQUEST + b"\r\n" + b"GET /runs HT", POST + b"Content-Length: 100\r\n\r\n{"],
    ids=["nothing", "half a line", "half a header", "a request and half of one", "half a body"],
)
def test_what_is_not_finished_in_time_is_closed(sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_S", SHORT_S)
    monkeypatch.setattr(connections, "BODY_S", SHORT_S)
    with ServerThread(tmp_path / "db") as server, connected(server.url) as half:
        half.sendall(sent)
        until(lambda: closed(half), "it is closed", SOON_S)


def test_a_byte_now_and_then_does_not_extend_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_S", SHORT_S)
    with ServerThread(tmp_path / "db") as server, connected(server.url) as slow:
        slow.sendall(REQUEST + b"X-More: ")
        gone = threading.Event()

        def trickle() -> None:
            while not gone.wait(SHORT_S / 10):
                try:
                    slow.send(b"x")
                except OSError:
                    return

        with ThreadPoolExecutor(1) as threads:
            threads.submit(trickle)
            try:
                until(lambda: closed(slow), "it is closed", SOON_S)
            finally:
                gone.set()


def test_an_answer_that_is_not_read_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_S", SHORT_S)
    with ServerThread(tmp_path / "db") as server:
        for _ in range(12):
            server.client.create_run("busybox", inputs={"text": "x" * 1_000_000})
        with connected(server.url) as deaf:
            deaf.sendall(REQUEST + b"\r\n")
            reset = select.poll()
            reset.register(deaf, 0)
            until(lambda: reset.poll(0), "the connection is reset", SOON_S)


def test_long_polls_and_idle_clients_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEADER_S", "BODY_S", "UNREAD_S"):
        monkeypatch.setattr(connections, name, SHORT_S)
    with ServerThread(tmp_path / "db") as server, ExitStack() as stack:
        polls, idle = (
            stack.enter_context(httpx.Client(base_url=server.url, headers={"X-API-Key": KEY}, timeout=30))
            for _ in range(2)
        )
        before = port(idle.get("/runs"))
        assert polls.get("/topics/t/events", params={"wait_s": 3 * SHORT_S}).json() == []
        assert port(idle.get("/runs")) == before


def port(reply: httpx.Response) -> int:
    """Of the client's side of the connection."""
    reply.raise_for_status()
    number: int = reply.extensions["network_stream"].get_extra_info("client_addr")[1]
    return number


def test_400_connections_that_send_nothing_keep_no_client_out_where_files_are_few(tmp_path: Path) -> None:
    """With 256 descriptors; a long poll that was there before goes on, and the log is short."""
    argv = ["sh", "-c", f"ulimit -Sn 128; ulimit -Hn 256; exec {COMMAND} serve --port 0 --no-key"]
    log = tmp_path / "log"
    with ExitStack() as stack:
        out = stack.enter_context(log.open("w"))
        process = subprocess.Popen(argv, env=environment(tmp_path), stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        url = until(lambda: next(iter(re.findall(r"http://[\w.:]+", log.read_text())), ""), "it serves")
        http = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        http.get("/runs").raise_for_status()
        assert psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE) == (256, 256), "the soft limit was 128"
        threads = stack.enter_context(ThreadPoolExecutor(1))
        sent = threading.Event()

        def note(step: str, _info: object) -> None:
            if step == "http11.send_request_body.complete":
                sent.set()

        poll = threads.submit(http.get, "/topics/t/events", params={"wait_s": 2}, extensions={"trace": note})
        assert sent.wait(20)
        httpx.get(f"{url}/health", timeout=20).raise_for_status()  # what came before is read
        for _ in range(400):
            idle = connected(url)
            stack.callback(idle.close)
        assert httpx.get(f"{url}/health", timeout=20).status_code == 200
        assert httpx.post(f"{url}/runs", json={"image": "busybox"}, timeout=20).status_code == 201
        assert poll.result(20).json() == []
    assert log.stat().st_size < 2000, log.read_text()[:4000]


def test_that_no_connection_can_be_accepted_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    crowd, loop = connections.Crowd(256), asyncio.new_event_loop()
    full = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, "Too many open files"),
    }
    for _ in range(1000):
        crowd.on_loop_fault(loop, full)
    assert [record.exc_info for record in caplog.records] == [None]
    assert "ulimit -n" in caplog.text
    crowd.on_loop_fault(loop, {"message": "a task failed", "exception": OSError("of another kind")})
    assert "a task failed" in caplog.text
    loop.close()
