"""A worker that hangs freezes no cockpit."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gyoza_tui.worker.control_socket import connection
from gyoza_tui.worker.control_socket.cockpit import AT_ONCE
from gyoza_tui.worker.view.control import ControlError
from tests.ui.fake_control import FakeControl
from tests.ui.recording import load
from tests.waiting import until
from tests.worker.control_socket.served import attached, bare, hang, serving

AT_ONCE_S = 0.1
COMMAND_S = 2.0
"""0.2 s, and what a busy machine adds."""


def test_what_is_shown_is_there_while_the_snapshot_hangs_and_the_rest_goes_on(tmp_path: Path) -> None:
    fake = FakeControl.of(load("busy"))
    with serving(fake, tmp_path) as server, attached(tmp_path) as remote:
        shown = remote.snapshot()
        go = hang(fake, "snapshot", "log_size")
        until(lambda: remote.contact().silent_s > 0.7, "the worker is silent")
        used = time.thread_time()
        assert (remote.snapshot(), remote.duties()) == (shown, shown.duties)
        assert (remote.samples(), remote.notices()) == (fake.samples(), fake.told)
        assert [remote.log_size(view.key) for view in shown.runs] == [None] * len(shown.runs)
        assert time.thread_time() - used < AT_ONCE_S
        began = time.monotonic()
        remote.pause()
        assert remote.cancel("r1", 1)
        assert time.monotonic() - began < 2 * COMMAND_S
        assert remote.details(shown.runs[0].key) == fake.details(shown.runs[0].key)
        with bare(tmp_path):
            until(lambda: len(server._cockpits) == 2, "another cockpit")
        until(lambda: len(server._cockpits) == 1, "it is forgotten")
        go.set()
        until(lambda: remote.snapshot().state == "paused", "what was asked for is done")
        until(lambda: ("cancel", "r1", 1) in fake.asked, "and the next")


def test_a_command_that_hangs_is_done_later_and_holds_nothing_up(tmp_path: Path) -> None:
    fake = FakeControl.of(load("busy"))
    go = hang(fake, "cancel")
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        began = time.monotonic()
        assert remote.cancel("r1", 1)
        remote.pause()
        assert time.monotonic() - began < 2 * COMMAND_S
        assert fake.asked == []
        assert remote.details(fake.now.runs[0].key)
        go.set()
        until(lambda: fake.asked == [("cancel", "r1", 1), ("pause",)], "both are done, in their order")


def test_calls_go_on_beside_those_that_hang(tmp_path: Path) -> None:
    fake = FakeControl.of(load("busy"))
    key = fake.now.runs[0].key
    go = hang(fake, "describe")
    with serving(fake, tmp_path), attached(tmp_path) as remote, bare(tmp_path) as other:
        for _ in range(AT_ONCE - 1):
            threading.Thread(target=remote.describe, args=(key,), daemon=True).start()
        until(lambda: len(remote._connection._waiting) == AT_ONCE - 1, "they are asked")
        assert remote.details(key) == fake.details(key)
        threading.Thread(target=remote.describe, args=(key,), daemon=True).start()
        until(lambda: len(remote._connection._waiting) == AT_ONCE, "so many that no more are done")
        with pytest.raises(ControlError, match=f"{AT_ONCE} things to answer first"):
            remote.details(key)
        remote.pause()
        assert ("pause",) in fake.asked
        assert "value" in other.ask("details", key=key)
        go.set()
        until(lambda: not remote._connection._waiting, "all are answered")
        assert remote.details(key)


def test_what_is_not_answered_in_time_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    monkeypatch.setattr(connection.Connection.ask, "__kwdefaults__", {"timeout_s": 0.2})
    fake = FakeControl()
    go = hang(fake, "why_queued", "log_bytes")
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        with pytest.raises(ControlError, match="has not answered"):
            remote.why_queued()
        with pytest.raises(ControlError, match="has not answered"):
            list(remote.log_bytes(1))
        go.set()


def test_who_waits_when_the_worker_is_lost_gets_an_error(tmp_path: Path) -> None:
    fake = FakeControl()
    go = hang(fake, "why_queued")
    lost: list[str] = []
    with serving(fake, tmp_path) as server, attached(tmp_path) as remote:

        def ask() -> None:
            with pytest.raises(ControlError) as error:
                remote.why_queued()
            lost.append(str(error.value))

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: remote._connection._waiting, "it is asked")
        server.stop("over")
        asking.join(10)
        assert lost == ["the worker does not answer: the connection to it is lost"]
        go.set()


def test_a_worker_that_reads_nothing_holds_no_command_up(tmp_path: Path) -> None:
    """As one that is stopped: what is asked fills the socket, and then the connection is given up."""
    fake = FakeControl()
    with serving(fake, tmp_path) as server, attached(tmp_path) as remote:
        [cockpit] = server._cockpits
        taken: list[float] = []

        def cancel() -> None:
            for number in range(4):
                began = time.monotonic()
                try:
                    remote.cancel("x" * 500_000, number)
                finally:
                    taken.append(time.monotonic() - began)

        with cockpit._ready, pytest.raises(ControlError):
            cancel()
        assert max(taken) < 2 * COMMAND_S
        until(lambda: remote.contact().silent_s < 0.5, "it is connected again")


def test_close_ends_what_it_has_begun(tmp_path: Path) -> None:
    with serving(FakeControl(), tmp_path) as server:
        with attached(tmp_path) as remote:
            assert remote.duties()
        until(lambda: not [each for each in threading.enumerate() if each.name == "attach"], "its thread has ended")
        until(lambda: not server._cockpits, "the worker knows")
