"""What each run has written on which disk, measured now and then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from gyoza_tui.backends.base import BackendError
from gyoza_tui.backends.directory_size import allocated
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.state_dir import disk_growth
from gyoza_tui.worker.state_dir.disk import Room
from gyoza_tui.worker.state_dir.disk_growth import Growth, Sample, Samples, Written
from gyoza_tui.worker.state_dir.state_dir import StateDir

_IDLE_SHARE: Final = 100
_BUSY_SHARE: Final = 4
"""How many times as long as a sample took the next one waits."""


class DiskSamples:
    """Keeps the one that growth is counted from, also for the next start."""

    def __init__(self, clock: Clock, journal: Journal, pool: BackendPool, state_dir: StateDir) -> None:
        self._clock = clock
        self._journal = journal
        self._pool = pool
        self._state_dir = state_dir
        self._before: Samples = disk_growth.load(state_dir.disk_samples)
        self._taken_at: float | None = None
        self._took_s = 0.0

    def renew(self, rooms: Sequence[Room], every_s: float) -> None:
        """Take the sample that growth is counted from, when it is old or a run is new."""
        known = {name for sample in self._before.values() for name in sample.written}
        pause = every_s if all(row.name in known for row in self._made()) else 0.0
        if self._taken_at is None or self._clock.boot() >= self._taken_at + max(pause, _IDLE_SHARE * self._took_s):
            self._before = self.take(rooms)
            if self._made():
                disk_growth.save(self._state_dir.disk_samples, self._before)

    @property
    def resting(self) -> bool:
        """Whether the next one still waits, for what the last one cost."""
        return self._taken_at is not None and self._clock.boot() < self._taken_at + _BUSY_SHARE * self._took_s

    def take(self, rooms: Sequence[Room]) -> Samples:
        began = self._clock.boot()
        measured = {row.name: self._measured(row) for row in self._made()}
        self._taken_at = self._clock.boot()
        self._took_s = self._taken_at - began
        return {
            str(room.path): Sample(room.free, {name: _on(room, written) for name, written in measured.items()})
            for room in rooms
        }

    def most_grown(self, room: Room, now: Samples) -> Growth | None:
        """The run that filled that disk, if one did."""
        path = str(room.path)
        return disk_growth.most_grown(self._before.setdefault(path, now[path]), now[path])

    def _made(self) -> list[RunRow]:
        """The runs that may have written something."""
        return [row for row in self._journal.active() if row.handle is not None]

    def _measured(self, row: RunRow) -> Written | None:
        """What it has written by the directory, whatever disk that is on."""
        run_dir = self._state_dir.run_dir(row.name)
        if row.backend not in self._pool.answering:
            return None
        try:
            found = self._pool[row.backend].written(row.handle or {})
        except BackendError:
            return None
        return {str(run_dir): allocated(run_dir)} | {str(place): size for place, size in found.items()}


def _on(room: Room, written: Written | None) -> Written | None:
    """What of it is on that disk."""
    if written is None:
        return None
    return {place: size for place, size in written.items() if _device(place) == room.device}


def _device(place: str) -> int | None:
    try:
        return os.stat(place).st_dev
    except OSError:
        return None
