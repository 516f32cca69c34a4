"""The client against servers that do not behave."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, NotOurAnswer, error_code, meaning, retry_after_s, words
from gyoza_tui.models.limits import MIB, REPLY_MAX
from gyoza_tui.models.workers import ClaimRequest
from gyoza_tui.own_server import OwnServer
from tests.client.scripted import ScriptedServer, answer

KEY = "the-secret-key"


def failure(*pieces: bytes, timeout: float = 5) -> httpx.HTTPError:
    """The error by which a health check ends that is answered so."""
    with ScriptedServer(lambda _request: pieces) as server, GyozaClient(server.url, KEY, timeout) as client:
        with pytest.raises(httpx.HTTPError) as failed:
            client.health()
        return failed.value


@pytest.mark.parametrize(
    "pieces",
    [
        (answer(b"<html>a proxy</html>"),),
        (answer(b'{"status": "o'),),
        (answer(b""),),
        (answer(b"[]"),),
        (answer(b'{"status": 3}'),),
        (answer(b"\xff\xfe\x00"),),
        (answer(b"[" * 200_000),),
        (answer(b'{"status":"ok","version":"1","server_time":"yesterday"}'),),
        (answer(b"{}", "204 No Content")[:-2],),
        (answer(b"", "302 Found", "Location: http://127.0.0.1:1/"),),
        (answer(b"", "307 Temporary Redirect", "Location: /health"),),
        (answer(b"", "304 Not Modified"),),
        (answer(b"", "301 Moved"),),
        (answer(gzip.compress(b'{"status":"ok","version":"1"}'), "200 OK", "Content-Encoding: gzip"),),
        (answer(b"x", "200 OK", "Content-Encoding: \x7f\x01"),),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",),
        (b"SSH-2.0-OpenSSH_9.2\r\n",),
        (b"HTTP/1.1 999 \xff\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",),
        (b"",),
    ],
)
def test_an_answer_that_is_not_ours_is_a_servers_fault(pieces: tuple[bytes, ...]) -> None:
    error = failure(*pieces)
    assert meaning(error) in (Meaning.SERVER_FAULT, Meaning.TROUBLE)
    assert words(error)
    assert KEY not in "".join(traceback.format_exception(error))
    assert KEY not in repr(error)


def test_an_answer_is_capped_while_it_is_read() -> None:
    sent = 0

    def flood(_request: bytes) -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n"
        while True:
            yield b" " * MIB
            sent += MIB

    with (
        ScriptedServer(flood) as server,
        GyozaClient(server.url) as client,
        pytest.raises(NotOurAnswer, match="over"),
    ):
        client.health()
    assert REPLY_MAX <= sent < REPLY_MAX + 16 * MIB


def test_65_mib_are_too_much() -> None:
    assert isinstance(failure(answer(b" " * 65 * MIB), timeout=20), NotOurAnswer)


def test_an_encoded_answer_is_never_decoded() -> None:
    bomb = gzip.compress(b" " * 32 * MIB)
    error = failure(answer(bomb, "200 OK", "Content-Encoding: gzip"))
    assert isinstance(error, NotOurAnswer)
    assert "encoding" in str(error)


def test_a_body_that_drips_ends_in_time() -> None:
    over = threading.Event()

    def drips(_request: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        while not over.wait(0.05):
            yield b" "

    begin = time.monotonic()
    with ScriptedServer(drips) as server, GyozaClient(server.url, timeout=0.5) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.health()
        assert time.monotonic() - begin < 15
        over.set()


def test_no_answer_at_all_ends_in_time() -> None:
    over = threading.Event()

    def silent(_request: bytes) -> Iterator[bytes]:
        over.wait(10)
        yield b""

    with ScriptedServer(silent) as server, GyozaClient(server.url, timeout=0.3) as client:
        with pytest.raises(httpx.ReadTimeout) as failed:
            client.health()
        over.set()
    assert words(failed.value) == "no answer in time"


def test_a_claim_waits_longer_than_the_server_does() -> None:
    over = threading.Event()

    def late(_request: bytes) -> Iterator[bytes]:
        over.wait(0.8)
        yield answer(b"[]", "200 OK", "X-Server-Id: s1")

    with ScriptedServer(late) as server, GyozaClient(server.url, timeout=0.5) as client:
        assert client.claim("w", ClaimRequest(wait_s=1)) == ([], "s1")


def test_the_key_and_identity_go_with_every_request_and_the_key_is_nowhere_else() -> None:
    body = json.dumps({"status": "ok", "version": "1"}).encode()
    with ScriptedServer(lambda _request: [answer(body)]) as server, GyozaClient(server.url + "/", KEY) as client:
        client.health()
        head = server.requests[0].decode().lower()
        assert head.startswith("get /health http/1.1")
        assert f"x-api-key: {KEY}" in head
        assert "accept-encoding: identity" in head
        assert KEY not in repr(client)
        assert KEY not in repr(vars(client))


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected", "code", "pause"),
    [
        ("400 Bad Request", b'{"detail": "no", "code": "transition"}', (), Meaning.REFUSED, "transition", None),
        ("409 Conflict", b'{"detail": "no", "code": "not_yours"}', (), Meaning.REFUSED, "not_yours", None),
        ("409 Conflict", b"<html>", (), Meaning.REFUSED, None, None),
        ("401 Unauthorized", b"{}", (), Meaning.UNAUTHORIZED, None, None),
        ("403 Forbidden", b"", (), Meaning.UNAUTHORIZED, None, None),
        ("403 Forbidden", b'{"detail": "no", "code": "role"}', (), Meaning.FORBIDDEN, "role", None),
        ("404 Not Found", b'{"detail": "no", "code": "run_unknown"}', (), Meaning.TROUBLE, "run_unknown", None),
        ("404 Not Found", b'{"detail": "Not Found"}', (), Meaning.SERVER_FAULT, None, None),
        ("404 Not Found", b"<html>", (), Meaning.SERVER_FAULT, None, None),
        ("429 Too Many Requests", b"", ("Retry-After: 7",), Meaning.SERVER_FAULT, None, 7.0),
        ("429 Too Many Requests", b"", ("Retry-After: inf",), Meaning.SERVER_FAULT, None, None),
        ("503 Unavailable", b"", ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",), Meaning.SERVER_FAULT, None, None),
        ("503 Unavailable", b"", ("Retry-After: -3",), Meaning.SERVER_FAULT, None, 0.0),
        ("500 Internal Server Error", b"oops", (), Meaning.TROUBLE, None, None),
        ("422 Unprocessable", b'{"detail": "limit", "code": "limit"}', (), Meaning.TROUBLE, "limit", None),
    ],
)
def test_what_a_refusal_means(
    status: str, body: bytes, headers: tuple[str, ...], expected: Meaning, code: str | None, pause: float | None
) -> None:
    error = failure(answer(body, status, *headers))
    assert isinstance(error, httpx.HTTPStatusError)
    assert meaning(error) is expected
    assert error_code(error) == code
    assert retry_after_s(error) == pause
    assert KEY not in "".join(traceback.format_exception(error))


def test_nobody_there() -> None:
    with GyozaClient("http://127.0.0.1:1", KEY) as client, pytest.raises(httpx.ConnectError) as failed:
        client.health()
    assert words(failed.value) == "connection refused"


@pytest.mark.parametrize("pieces", [b"", answer(b'{"detail": "No.", "code": "limit"}', "422 Unprocessable")])
def test_words_are_part_of_a_sentence(pieces: bytes) -> None:
    assert not words(failure(pieces)).endswith(".")


@pytest.mark.parametrize("announced", [True, False])
def test_a_server_that_was_asked_before_it_is_announced_is_asked_again_with_its_key(announced: bool) -> None:
    """Only once, and not without a key: a refusal is one."""
    health = answer(b'{"status": "ok", "version": "1"}')
    refusal = answer(b'{"detail": "no key"}', "401 Unauthorized")

    def script(request: bytes) -> list[bytes]:
        return [health if KEY.encode() in request else refusal]

    with ScriptedServer(script) as server:
        looks = iter([None, OwnServer(server.url, KEY, Path("key"), Path("5555.json")) if announced else None])
        with GyozaClient(server.url, own_server=lambda: next(looks)) as client:
            if announced:
                assert client.health().status == "ok"
            else:
                with pytest.raises(httpx.HTTPStatusError, match="401"):
                    client.health()
        assert len(server.requests) == (2 if announced else 1)


def test_proxies_of_the_environment_are_not_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    body = json.dumps({"status": "ok", "version": "1"}).encode()
    with ScriptedServer(lambda _request: [answer(body)]) as server, GyozaClient(server.url) as client:
        assert client.health().status == "ok"


def test_no_transport_is_loaded_before_the_first_request() -> None:
    made = "from gyoza_tui.client import GyozaClient; import sys; GyozaClient('http://h:1').close()"
    probe = f"{made}; print('httpcore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"


def _changed(*replies: bytes) -> str:
    """The state that `update_run` gives, of a server that answers so."""
    left = list(replies)
    with ScriptedServer(lambda _request: [left.pop(0)]) as server, GyozaClient(server.url) as client:
        return client.update_run("r1", state="CANCELLED").state


def test_a_change_whose_answer_is_no_run_is_looked_up() -> None:
    run = answer(b'{"id": "r1", "image": "op", "state": "CANCELLED"}')
    assert _changed(run) == "CANCELLED"
    assert _changed(answer(b'{"ok": true}', "202 Accepted"), run) == "CANCELLED"
    with pytest.raises(NotOurAnswer):
        _changed(answer(b"", "204 No Content"))


@pytest.mark.parametrize("body", [b"", b"null", b'{"status": "gone"}'])
def test_a_good_bye_is_heard_by_any_answer(body: bytes) -> None:
    with ScriptedServer(lambda _request: [answer(body)]) as server, GyozaClient(server.url) as client:
        client.delete_worker("w1")
    with (
        ScriptedServer(lambda _request: [answer(b"<html>")]) as server,
        GyozaClient(server.url) as client,
        pytest.raises(NotOurAnswer),
    ):
        client.delete_worker("w1")


def test_a_beats_answer_that_names_a_protocol_must_be_of_it() -> None:
    body = b'{"protocol": 1, "lease_s": "soon"}'
    with (
        ScriptedServer(lambda _request: [answer(body)]) as server,
        GyozaClient(server.url) as client,
        pytest.raises(NotOurAnswer),
    ):
        client.heartbeat(worker_id="w1")
