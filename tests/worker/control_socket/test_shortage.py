"""A worker that can start no more threads says so to a cockpit, and serves the next one when it can again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from gyoza_tui.worker.control_socket.connection import AttachError
from gyoza_tui.worker.view.control import ControlError
from tests.ui.fake_control import FakeControl
from tests.ui.recording import load
from tests.waiting import until
from tests.worker.control_socket.served import attached, serving


@contextmanager
def no_thread_named(*names: str) -> Iterator[None]:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name in names:
            raise RuntimeError("can't start new thread")
        start(thread)

    with patch.object(threading.Thread, "start", refuse):
        yield


def test_a_call_that_gets_no_thread_is_answered_and_the_next_is_done(tmp_path: Path) -> None:
    fake = FakeControl.of(load("busy"))
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        with no_thread_named("why_queued"):
            for _ in range(20):  # more than are done at once: each gives its place back
                with pytest.raises(ControlError, match="no thread"):
                    remote.why_queued()
        assert remote.why_queued() == ""
        remote.pause()
        assert fake.asked == [("pause",)]


@pytest.mark.parametrize("thread", ["send", "command", "read"])
def test_a_cockpit_that_gets_no_thread_hears_why_and_takes_no_place(tmp_path: Path, thread: str) -> None:
    with serving(FakeControl.of(load("busy")), tmp_path):
        with no_thread_named(f"cockpit-{thread}"):
            for _ in range(10):  # more than are served at once
                with pytest.raises(AttachError), attached(tmp_path):
                    pass
        until(lambda: not any(each.name.startswith("cockpit-") for each in threading.enumerate()), "no thread is left")
        with attached(tmp_path) as remote:
            assert remote.snapshot().runs


def test_logs_that_are_not_read_to_their_end_hold_no_place(tmp_path: Path) -> None:
    fake = FakeControl(logs={1: [b"x" * 300_000] * 3})
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        begun = [remote.log_bytes(1) for _ in range(8)]
        for pieces in begun:
            next(pieces)
        with pytest.raises(ControlError, match="8 logs are read already"):
            next(remote.log_bytes(1))
        for pieces in begun:
            pieces.close()  # type: ignore[attr-defined]
        until(lambda: _reads(remote.log_bytes(1)), "a log is read again")


def _reads(pieces: Iterator[bytes]) -> bool:
    try:
        return len(b"".join(pieces)) == 900_003
    except ControlError:
        return False
