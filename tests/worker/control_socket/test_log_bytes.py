"""A whole log goes over the socket as it is read, and no faster."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

import psutil
import pytest

from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.view.control import ControlError
from tests.ui.fake_control import FakeControl
from tests.waiting import until
from tests.worker.control_socket.served import attached, bare, serving

PART = bytes(range(256)) * 256
SIZE = 100 * MIB


class BigLog(FakeControl):
    taken = 0
    ended = False

    def log_bytes(self, key: int) -> Iterator[bytes]:
        try:
            for _ in range(SIZE // len(PART)):
                self.taken += len(PART)
                yield PART
            if key:
                raise ControlError("the disk is gone")
        finally:
            self.ended = True


def test_a_big_log_flows_in_little_memory(tmp_path: Path) -> None:
    with serving(BigLog(), tmp_path), attached(tmp_path) as remote:
        memory = psutil.Process().memory_info
        before = most = memory().rss
        digest, size = sha256(), 0
        for piece in remote.log_bytes(0):
            digest.update(piece)
            size += len(piece)
            most = max(most, memory().rss)
        assert size == SIZE
        assert digest.digest() == sha256(PART * (SIZE // len(PART))).digest()
        assert most - before < 30 * MIB


def test_who_stops_reading_it_costs_a_piece_and_who_leaves_it_nothing(tmp_path: Path) -> None:
    log = BigLog()
    with serving(log, tmp_path) as server, attached(tmp_path) as remote:
        threads = threading.active_count()
        pieces = remote.log_bytes(0)
        read = sum(map(len, islice(pieces, 3)))
        for _ in range(20):
            assert remote.why_queued() == ""
        assert log.taken <= read + MIB
        [cockpit] = server._cockpits
        assert len(cockpit._pieces) == 1
        pieces.close()  # type: ignore[attr-defined]
        until(lambda: log.ended, "the worker has let it go")
        assert (cockpit._pieces, remote._connection._waiting) == ({}, {})
        until(lambda: threading.active_count() <= threads, "no thread is left of it")


def test_a_cockpit_that_ends_in_the_middle_of_it_leaves_nothing(tmp_path: Path) -> None:
    log = BigLog()
    with serving(log, tmp_path) as server, bare(tmp_path) as cockpit:
        assert "part" in cockpit.ask("log_bytes", key=0)
        cockpit.close()
        until(lambda: not server._cockpits, "the cockpit is forgotten")
        until(lambda: log.ended, "the log is let go")


def test_what_goes_wrong_in_the_middle_of_it_comes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.worker.control_socket.test_log_bytes.SIZE", MIB)
    with serving(BigLog(), tmp_path), attached(tmp_path) as remote:
        pieces = remote.log_bytes(1)
        assert sum(len(next(pieces)) for _ in range(4)) == MIB
        with pytest.raises(ControlError, match="the disk is gone"):
            next(pieces)
