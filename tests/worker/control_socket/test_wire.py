"""Who speaks otherwise than agreed gets words, and costs a worker nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gyoza_tui import __version__
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.control_socket import address, connection
from gyoza_tui.worker.control_socket.client import RemoteControl
from gyoza_tui.worker.control_socket.connection import AttachError, Connection, Refused
from gyoza_tui.worker.control_socket.wire import ASK_MAX, FRAME_MAX, SCHEMA, frame
from gyoza_tui.worker.view.control import ControlError, LogPage, LogQuery
from tests.ui.fake_control import FakeControl
from tests.ui.recording import load
from tests.worker.control_socket.served import HELLO, attached, bare, hang, is_over, serving


@contextmanager
def _listener(root: Path) -> Iterator[socket.socket]:
    listener = address.listen(root)
    with listener:
        yield listener


def test_another_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    hello = HELLO._replace(schema=SCHEMA + 1, version="9.9.9")
    with serving(FakeControl(), tmp_path, hello), pytest.raises(Refused) as refused:
        Connection(tmp_path)
    assert f"the worker is gyoza-tui 9.9.9, this is {__version__}" in str(refused.value)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (frame(b'{"refused":"not for you"}'), "not for you"),
        (frame(b'{"hello":[]}'), "of another version"),
        (frame(b'{"hello":[%d,2]}' % SCHEMA), "not understood"),
        (frame(b"{}"), "of another version"),
        (frame(b"[]"), "does not answer"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer"),
        (b"\xff\xff\xff\xff", "does not answer"),
        (b"", "does not answer"),
    ],
)
def test_what_is_no_hello_of_ours_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes, words: str
) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(address, "connect", lambda root, timeout_s: ours)
    theirs.sendall(sent)
    theirs.close()
    with pytest.raises(AttachError, match=words):
        Connection(tmp_path)
    assert ours.fileno() == -1


def test_a_worker_that_does_not_greet_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.2)
    with _listener(tmp_path), pytest.raises(AttachError, match="does not answer"):
        Connection(tmp_path)


def test_a_worker_that_shows_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyoza_tui.worker.control_socket.client.CONNECT_S", 0.2)
    fake = FakeControl()
    go = hang(fake, "snapshot")
    began = time.monotonic()
    with serving(fake, tmp_path):
        with pytest.raises(AttachError, match=r"worker w1 \(pid 4711\) does not answer"):
            RemoteControl(tmp_path, SystemClock())
        assert time.monotonic() - began < 10
        go.set()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame(b"x" * (ASK_MAX + 1))[:10],
        frame(b"no!"),
        frame(b"[]"),
        frame(b"{}"),
        frame(b'{"ask":"1","call":"pause"}'),
    ],
)
def test_who_sends_no_ask_is_let_go_and_the_others_stay(tmp_path: Path, sent: bytes) -> None:
    with serving(FakeControl(), tmp_path), attached(tmp_path) as other, bare(tmp_path) as cockpit:
        cockpit.socket.sendall(sent)
        assert is_over(cockpit.socket)
        assert other.describe(1)


@pytest.mark.parametrize(
    ("call", "given", "kind"),
    [
        ("no_such_call", {}, "unknown"),
        ("__init__", {}, "unknown"),
        ("_abc_impl", {}, "unknown"),
        ("more", {}, "unknown"),
        ("details", {}, "control"),
        ("details", {"key": "seven"}, "control"),
        ("details", {"key": 1, "other": 2}, "unknown"),
        ("end", {"ending": "explode"}, "control"),
    ],
)
def test_a_call_that_can_not_be_is_answered_in_words(
    tmp_path: Path, call: str, given: dict[str, object], kind: str
) -> None:
    fake = FakeControl.of(load("busy"))
    with serving(fake, tmp_path), bare(tmp_path) as cockpit:
        found, words = cockpit.ask(call, **given)["error"]
        assert (found, bool(words)) == (kind, True)
        assert cockpit.ask("why_queued")["value"] == ""
    assert fake.asked == []


def test_what_a_call_raises_comes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeControl.of(load("busy"))
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        with pytest.raises(KeyError):
            remote.describe(-1)
        fake.trouble = "the engine is away"
        with pytest.raises(ControlError, match="the engine is away"):
            remote.describe(1)
        monkeypatch.setattr(fake, "describe", lambda key: 1 / 0)
        with pytest.raises(ControlError, match="division by zero"):
            remote.describe(1)


def test_an_answer_that_is_too_long_is_an_error_and_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeControl()
    monkeypatch.setattr(fake, "why_queued", lambda: "x" * FRAME_MAX)
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        with pytest.raises(ControlError, match="at most"):
            remote.why_queued()
        assert remote.log_lines(1, 0, 10) == LogPage((), 0)


def test_a_question_that_is_too_long_is_an_error_and_no_end(tmp_path: Path) -> None:
    with serving(FakeControl(), tmp_path), attached(tmp_path) as remote:
        with pytest.raises(ControlError, match="at most"):
            remote.log_search(1, LogQuery("x" * ASK_MAX), 0)
        assert remote.log_search(1, LogQuery("x"), 0).numbers == ()
