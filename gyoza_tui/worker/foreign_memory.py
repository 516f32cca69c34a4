"""GPU memory that no run of this worker has reserved: used by other programs, or by a run beyond its own part."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import psutil

from gyoza_tui.backends.base import Backend, BackendError
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.hardware import Foreign, GpuSample, HardwareSample
from gyoza_tui.worker.journal.row import RunRow

LEAST_MB: Final = 1024
"""Below this it counts as nothing: a driver and a desktop have some."""
FALLS_S: Final = 30.0
"""A lower value counts once nothing higher was read for this time."""


class ForeignMemory:
    """Reads are thread-safe; `look` is for one thread."""

    def __init__(
        self,
        clock: Clock,
        backends: Callable[[], Iterable[tuple[str, Backend]]],
        rows: Callable[[], Iterable[RunRow]],
        rose: Callable[[], None],
        heartbeat_s: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._backends = backends
        self._rows = rows
        self._rose = rose
        self._heartbeat_s = heartbeat_s
        self._rose_at = -FALLS_S
        self._levels: dict[int, _Level] = {}
        self.now: dict[int, Foreign] = {}
        """By the index of the GPU; replaced, never changed."""

    def mb(self, gpu: int) -> int:
        return self.now.get(gpu, Foreign()).mb

    def look(self, sample: HardwareSample) -> None:
        """Take a reading; a rise is reported at once, at most once per heartbeat."""
        rows = [row for row in self._rows() if row.handle is not None or row.run.constraints.gpu_id is not None]
        before, self.now = self.now, {gpu.info.index: self._foreign(gpu, rows) for gpu in sample.gpus}
        now = self._clock.boot()
        rises = any(found.mb > before.get(gpu, Foreign()).mb for gpu, found in self.now.items())
        if rises and now - self._rose_at >= self._heartbeat_s():
            self._rose_at = now
            self._rose()

    def _foreign(self, gpu: GpuSample, rows: Sequence[RunRow]) -> Foreign:
        owners = {process.pid: self._owner(process.pid, rows) for process in gpu.processes or ()}
        level = self._levels.setdefault(gpu.info.index, _Level())
        measured = measure(gpu, rows, owners)
        if measured is not None:
            level.add(self._clock.boot(), measured)
        processes = tuple(process for process in gpu.processes or () if owners[process.pid] is None)
        return Foreign(level.mb if level.mb >= LEAST_MB else 0, processes)

    def _owner(self, pid: int, rows: Sequence[RunRow]) -> RunRow | None:
        for name, backend in self._backends():
            here = [row for row in rows if row.backend == name and row.handle is not None]
            if (index := owner_of(backend, pid, [row.handle or {} for row in here])) is not None:
                return here[index]
        return None


def owner_of(backend: Backend, pid: int, handles: Sequence[dict[str, object]]) -> int | None:
    """The place of the attempt among `handles` that the process belongs to."""
    if handles:
        with suppress(BackendError):  # reported by its border
            return backend.owner(pid, handles)
    return None


def beyond(gpu: GpuSample, of_runs: Collection[int]) -> Foreign:
    """What programs use that are no run's, as far as one look shows; `of_runs` are the processes of runs."""
    processes = gpu.processes or ()
    ours = sum(process.memory_mb or 0 for process in processes if process.pid in of_runs)
    mb = max(0, (gpu.memory_used_mb or 0) - ours)
    others = tuple(process for process in processes if process.pid not in of_runs)
    return Foreign(mb if mb >= LEAST_MB else 0, others)


def measure(gpu: GpuSample, rows: Iterable[RunRow], owners: Mapping[int, RunRow | None]) -> int | None:
    """MiB in use that no run has reserved; None where that cannot be known now.

    Where the driver does not say which process uses how much, only a GPU without a run of ours can be measured.
    """
    if gpu.memory_used_mb is None:
        return None
    if not _told_by_process(gpu):
        ours_there = any(row.run.constraints.gpu_id == gpu.info.index for row in rows)
        return None if ours_there else gpu.memory_used_mb
    actual: Counter[int] = Counter()
    reserved: dict[int, int] = {}
    for process in gpu.processes or ():
        if (row := owners[process.pid]) is not None:
            actual[row.key] += process.memory_mb or 0
            reserved[row.key] = _reserved_mb(row, gpu)
    beyond = sum(max(0, mb - reserved[key]) for key, mb in actual.items())
    return max(0, gpu.memory_used_mb - actual.total()) + beyond


def _told_by_process(gpu: GpuSample) -> bool:
    """Not where this process sees no other, as in a container with process ids of its own."""
    processes = gpu.processes
    return processes is not None and all(p.memory_mb is not None and psutil.pid_exists(p.pid) for p in processes)


def _reserved_mb(row: RunRow, gpu: GpuSample) -> int:
    wants = row.run.constraints
    if wants.gpu_id != gpu.info.index:
        return 0
    return wants.vram_mb or gpu.info.memory_total_mb or gpu.memory_used_mb or 0


class _Level:
    """The highest reading of the last FALLS_S seconds; without new readings, what it was."""

    def __init__(self) -> None:
        self._read: deque[tuple[float, int]] = deque()
        """Each lower and later than the one before it."""

    @property
    def mb(self) -> int:
        return self._read[0][1] if self._read else 0

    def add(self, at: float, mb: int) -> None:
        while self._read and self._read[-1][1] <= mb:
            self._read.pop()
        self._read.append((at, mb))
        while self._read[0][0] <= at - FALLS_S:
            self._read.popleft()
