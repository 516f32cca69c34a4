"""A cockpit that takes nothing, while much changes: it costs the worker one buffer, and comes back by itself."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.control_socket import cockpit, server
from gyoza_tui.worker.view.snapshot import Snapshot
from tests.ui.fake_control import FakeControl
from tests.ui.recording import load
from tests.waiting import until
from tests.worker.control_socket.other_processes import process, seen
from tests.worker.control_socket.served import attached, bare, serving


class Flood(FakeControl):
    """Each snapshot is another one, of some megabytes, and each look at a log finds it longer."""

    floods = False
    looks = 0
    longest_pause_s = 0.0
    """Between two looks."""
    _looked_at = 0.0

    def snapshot(self) -> Snapshot:
        now = time.monotonic()
        if self.looks:
            self.longest_pause_s = max(self.longest_pause_s, now - self._looked_at)
        self.looks, self._looked_at = self.looks + 1, now
        if self.floods:
            first, *others = self.now.runs
            self.now = self.now._replace(
                runs=(first._replace(inputs=f"{self.looks} " + "x" * 4 * MIB), *others), to_deliver=self.looks
            )
        return self.now

    def log_size(self, key: int) -> int | None:
        return self.looks * 1000


@pytest.mark.parametrize(
    ("send_s", "flood_s"), [(3, 4.0), pytest.param(30, 29.0, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_a_cockpit_that_is_stopped_costs_one_buffer_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, send_s: int, flood_s: float
) -> None:
    monkeypatch.setattr(cockpit, "SEND_S", send_s)
    monkeypatch.setattr(server, "SHOW_S", 0.05)
    flood = Flood.of(load("busy"))
    assert isinstance(flood, Flood)
    file = tmp_path / "seen"
    memory = psutil.Process().memory_info
    with serving(flood, tmp_path) as serves, process("cockpit", tmp_path, str(file)) as other:
        until(file.exists, "the cockpit looks")
        other.signal(signal.SIGSTOP)
        before, threads = memory().rss, threading.active_count()
        flood.floods = True
        [stopped] = serves._cockpits
        ends = time.monotonic() + flood_s
        most = before
        while time.monotonic() < ends and stopped in serves._cockpits:
            most = max(most, memory().rss)
            time.sleep(0.02)
        until(lambda: stopped not in serves._cockpits, "the cockpit is let go", send_s + 5)
        assert most - before < 70 * MIB
        flood.floods = False
        with attached(tmp_path) as still:
            assert still.snapshot().to_deliver == flood.now.to_deliver > 5
        other.signal(signal.SIGCONT)
        until(lambda: seen(file)["to_deliver"] == flood.now.to_deliver, "the cockpit is back")
        until(lambda: set(seen(file)["sizes"].values()) >= {flood.looks * 1000}, "it sees how the logs have grown")
        assert threading.active_count() <= threads + 3
        assert flood.longest_pause_s < send_s


def test_who_asks_and_takes_no_answer_is_not_listened_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cockpit, "SEND_S", 1)
    asked: list[int] = []
    fake = FakeControl()

    def describe(key: int) -> dict[str, str]:
        asked.append(key)
        return {"it": "x" * MIB}

    monkeypatch.setattr(fake, "describe", describe)
    with serving(fake, tmp_path) as serves, bare(tmp_path) as greedy, attached(tmp_path) as other:
        greedy.receive()
        greedy.socket.settimeout(0.3)
        with suppress(OSError):
            for _ in range(100_000):
                greedy.send("describe", key=1)
        assert len(asked) < 40
        assert other.describe(2)
        until(lambda: len(serves._cockpits) == 1, "it is let go")
