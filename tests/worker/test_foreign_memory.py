"""GPU memory that no run has reserved: measured, kept for a while, reported soon."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.hardware import GpuInfo, GpuProcess, GpuSample, HardwareSample
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.foreign_memory import ForeignMemory
from gyoza_tui.worker.journal.row import RunRow
from tests.clock import FakeClock
from tests.worker.fake_backend import FakeBackend

HERE, PARENT = os.getpid(), os.getppid()
"""Processes that can be seen."""
UNSEEN = 2**22 + 1
GIB = 1024


class Bench:
    """One machine whose readings a test makes up."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = FakeBackend()
        self.rows: list[RunRow] = []
        self.beats = 0
        self.memory = ForeignMemory(
            self.clock, lambda: [("docker", self.backend)], lambda: self.rows, self._beat, lambda: 5.0
        )

    def _beat(self) -> None:
        self.beats += 1

    def run(self, pid: int, **constraints: int) -> None:
        """A run of ours with that process."""
        name = f"c{pid}"
        run = OpRun(id=name, image="op", attempt=1, constraints=Constraints(**constraints))
        self.rows.append(RunRow(len(self.rows), "s", run, name, "docker", 0.0, handle={"name": name}))
        self.backend.pids[pid] = name

    def read(self, used: int | None, processes: Sequence[tuple[int, int | None]] | None = ()) -> int:
        known = None if processes is None else tuple(GpuProcess(pid, "train", mb, "alice") for pid, mb in processes)
        gpu = GpuSample(GpuInfo(0, None, "A100", 80 * GIB), memory_used_mb=used, processes=known)
        self.memory.look(HardwareSample(self.clock.boot(), gpus=(gpu,)))
        return self.memory.mb(0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_no_run_uses_is_foreign_and_named(bench: Bench) -> None:
    bench.run(HERE, gpu_id=0, vram_mb=10 * GIB)
    assert bench.read(23 * GIB, [(HERE, 3 * GIB), (PARENT, 18 * GIB)]) == 20 * GIB
    assert bench.memory.now[0].processes == (GpuProcess(PARENT, "train", 18 * GIB, "alice"),)


def test_what_a_run_uses_beyond_its_part_is_not_free_either(bench: Bench) -> None:
    bench.run(HERE, gpu_id=0, vram_mb=2 * GIB)
    assert bench.read(5 * GIB, [(HERE, 5 * GIB)]) == 3 * GIB


def test_a_run_with_the_whole_gpu_uses_none_beyond_it(bench: Bench) -> None:
    bench.run(HERE, gpu_id=0)
    assert bench.read(60 * GIB, [(HERE, 60 * GIB)]) == 0


def test_a_run_on_a_gpu_that_it_did_not_get_has_reserved_nothing_there(bench: Bench) -> None:
    bench.run(HERE, gpu_id=1, vram_mb=8 * GIB)
    assert bench.read(4 * GIB, [(HERE, 4 * GIB)]) == 4 * GIB


def test_less_than_a_gib_is_nothing(bench: Bench) -> None:
    assert bench.read(GIB - 1) == 0
    assert bench.read(GIB) == GIB


def test_it_rises_at_once_and_falls_after_30_s(bench: Bench) -> None:
    bench.read(4 * GIB)
    bench.clock.turn(20)
    assert bench.read(9 * GIB) == 9 * GIB
    assert bench.read(2 * GIB) == 9 * GIB
    bench.clock.turn(29)
    assert bench.read(3 * GIB) == 9 * GIB
    bench.clock.turn(1)
    assert bench.read(0) == 3 * GIB, "the highest of the last 30 s"
    bench.clock.turn(30)
    assert bench.read(0) == 0


def test_a_rise_asks_for_one_beat_more_per_heartbeat(bench: Bench) -> None:
    for used in (2, 3, 4):
        bench.read(used * GIB)
    assert bench.beats == 1
    bench.clock.turn(5)
    bench.read(4 * GIB)
    assert bench.beats == 1, "nothing rose"
    bench.read(5 * GIB)
    assert bench.beats == 2
    bench.clock.turn(31)
    bench.read(0)
    assert bench.beats == 2, "a fall is reported by the next beat"


@pytest.mark.parametrize("processes", [None, [(HERE, None)], [(UNSEEN, 9 * GIB)]])
def test_without_numbers_by_process_it_is_what_was_used_before_a_run_came(
    bench: Bench, processes: list[tuple[int, int | None]] | None
) -> None:
    """The driver does not name them, or not how much they use, or they are not seen from here."""
    assert bench.read(3 * GIB, processes) == 3 * GIB
    bench.run(HERE, gpu_id=0, vram_mb=10 * GIB)
    bench.clock.turn(40)
    assert bench.read(12 * GIB, processes) == 3 * GIB
    bench.rows.clear()
    assert bench.read(5 * GIB, processes) == 5 * GIB


def test_a_reading_that_is_missing_changes_nothing(bench: Bench) -> None:
    bench.read(3 * GIB)
    bench.clock.turn(60)
    assert bench.read(None, None) == 3 * GIB
