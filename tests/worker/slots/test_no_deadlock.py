"""Families of runs on few slots: all end, and no more than the slots are ever awake."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.journal.row import Outcome, RunRow
from tests.scripted_server import ScriptedServer
from tests.waiting import until
from tests.worker.rig import Rig


class Families:
    """A server that gives deeper runs first, and ops that do nothing but wait for their children."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self._rig = rig
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._queue: list[tuple[int, float, str, tuple[int, ...], threading.Event]] = []
        self._awake = 0
        self.most_awake = 0
        self.waits = 0

    def submit(self, name: str, shape: tuple[int, ...], depth: int = 0) -> threading.Event:
        """A run with `shape[0]` children, each with `shape[1]` of its own, and so on; set at its end."""
        ended = threading.Event()
        with self._lock:
            self._queue.append((-depth, self._random.random(), name, shape, ended))
        return ended

    def claim(self) -> bool:
        """As the claim duty does it; whether anything is left."""
        with self._lock:
            self._queue.sort(key=lambda queued: queued[:2])
            wanted = self._rig.parts.capacity.free_slots
            given, self._queue = self._queue[:wanted], self._queue[wanted:]
        for depth, _, name, shape, ended in given:
            row = self._rig.row(name)
            threading.Thread(target=self._live, args=(row, shape, -depth, ended), daemon=True).start()
        return bool(self._queue)

    def _live(self, row: RunRow, shape: tuple[int, ...], depth: int, ended: threading.Event) -> None:
        rig = self._rig
        rig.parts.gate.enter(row)
        rig.journal.update(row.key, step="run_container")
        self._wakes()
        children = [
            self.submit(f"{row.run_id}.{number}", shape[1:], depth + 1) for number in range(shape[0] if shape else 0)
        ]
        while left := [child for child in children if not child.is_set()]:
            self._wait_for(row, left, len(children))
        self._sleeps()
        rig.record(row).finish(Outcome.COMPLETED, "", EventReport(type=EventType.COMPLETED))
        rig.journal.update(row.key, cleaned=True)
        ended.set()

    def _wait_for(self, row: RunRow, left: list[threading.Event], of: int) -> None:
        """As with `as_completed`: until one of them has ended."""
        rig, back = self._rig, threading.Event()
        self._sleeps()
        self.waits += 1
        rig.parts.waiting_runs.begin(row.key, len(left), of)
        until(lambda: any(child.is_set() for child in left), "a child's end", 60)
        rig.parts.waiting_runs.come_back(row.key, back.set)
        assert back.wait(60), "it never returns"
        self._wakes()

    def _wakes(self) -> None:
        with self._lock:
            self._awake += 1
            self.most_awake = max(self.most_awake, self._awake)

    def _sleeps(self) -> None:
        with self._lock:
            self._awake -= 1


@pytest.fixture(params=[1, 2, 4], ids="{} slots".format)
def rig(request: pytest.FixtureRequest, scripted: ScriptedServer, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(scripted, tmp_path / "state", {"max_runs": request.param}, clock=SystemClock())
    made.parts.waiting_runs.start()
    yield made
    made.close()


@pytest.mark.parametrize("shape", [(8,), (4, 4), (2, 2, 2)], ids=str)
def test_every_family_ends_on_few_slots(rig: Rig, shape: tuple[int, ...]) -> None:
    families = Families(rig, seed=sum(shape))
    ends = [families.submit(f"p{number}", shape) for number in range(4)]
    until(lambda: not families.claim() and all(end.is_set() for end in ends), "all have ended", 60)
    assert families.most_awake <= rig.parts.capacity.max_runs
    assert families.waits >= 4
    assert rig.parts.gate.taken == 0
