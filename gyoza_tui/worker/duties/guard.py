"""Keep room on the disks: look at them, and stop the run that fills one."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gyoza_tui.backends.base import BackendError, Exit
from gyoza_tui.backends.directory_size import allocated
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir import disk, disk_growth, reserve
from gyoza_tui.worker.state_dir.disk import Room
from gyoza_tui.worker.state_dir.disk_growth import Growth, Sample, Samples, Written

INTERVAL_S: Final = 1.0
NEAR_S: Final = 0.2
"""While a disk is near its end: an op may write a gigabyte in a second."""
_SAMPLE_S: Final = 30.0
_SAMPLE_NEAR_S: Final = 600.0
"""How old the sample may become that growth is counted from: it must not forget who has just filled the disk."""
_IDLE_SHARE: Final = 100
_BUSY_SHARE: Final = 4
"""How many times as long as a sample took the next one waits."""


class Guard(Duty):
    """Looks at the room every second. What the runs have written is measured now and then, so that a disk that is
    suddenly full is compared with how it was before. With a minimum of 0 nothing is measured and nothing stopped."""

    name = "guard"

    def __init__(self, runtime: Runtime, slots: Slots) -> None:
        super().__init__(runtime.clock, runtime.notices, threading.Event())
        self._runtime = runtime
        self._slots = slots
        self._min_free_mb = runtime.settings.min_free_mb
        self._reserve = runtime.state_dir.reserve
        self._before: Samples = disk_growth.load(runtime.state_dir.disk_samples)
        self._sampled_at: float | None = None
        self._sample_took = 0.0
        self._warned = False
        self._was_short = False
        self._filling = False
        """A disk was short and still is near its end."""
        self._ending: int | None = None
        """The key of the run that was stopped last, until it is cleaned up."""
        self._not_stopped = ""
        """What was said last of one that could not be stopped; it is tried five times a second."""

    def tick(self) -> float:
        runtime = self._runtime
        look = disk.look([runtime.state_dir.root, *runtime.pool.disks], self._min_free_mb)
        runtime.mode.disk_looked(look)
        if not self._min_free_mb:
            return INTERVAL_S
        near = [room for room in look.rooms if room.free < disk.near(self._min_free_mb)]
        short = [room for room in near if room.free < disk.short(self._min_free_mb)]
        self._keep_reserve(look.rooms)
        self._warn(look.warning or look.trouble)
        if not short:
            if not (near and self._filling):  # what a reserve has given is no new beginning
                self._renew(look.rooms, _SAMPLE_NEAR_S if near else _SAMPLE_S)
            if self._was_short:
                self._slots.room_again()
        elif not self._waits_for_room():
            self._make_room(look.rooms, short)
        self._was_short = bool(short)
        self._filling = bool(short or (near and self._filling))
        return NEAR_S if near else INTERVAL_S

    def _keep_reserve(self, rooms: Sequence[Room]) -> None:
        """Make it again once it takes no room that is needed."""
        ours = next((room for room in rooms if room.path == self._runtime.state_dir.root), None)
        missing = reserve.SIZE - self._reserve.size
        if ours is not None and missing and ours.free - missing >= disk.near(self._min_free_mb):
            self._reserve.fill()

    def _warn(self, words: str | None) -> None:
        if words is not None and not self._warned:
            self._notices.say(words, "warning")
        self._warned = words is not None

    # Samples

    def _renew(self, rooms: Sequence[Room], every_s: float) -> None:
        """Take the sample that growth is counted from, when it is old or a run is new."""
        known = {name for sample in self._before.values() for name in sample.written}
        pause = every_s if all(row.name in known for row in self._made()) else 0.0
        last = self._sampled_at
        if last is None or self._clock.boot() >= last + max(pause, _IDLE_SHARE * self._sample_took):
            self._before = self._sample(rooms)
            if self._made():
                disk_growth.save(self._runtime.state_dir.disk_samples, self._before)

    def _made(self) -> list[RunRow]:
        """The runs that may have written something."""
        return [row for row in self._runtime.active() if row.handle is not None]

    def _sample(self, rooms: Sequence[Room]) -> Samples:
        began = self._clock.boot()
        measured = {row.name: self._measured(row) for row in self._made()}
        self._sampled_at = self._clock.boot()
        self._sample_took = self._sampled_at - began
        return {
            str(room.path): Sample(room.free, {name: _on(room, written) for name, written in measured.items()})
            for room in rooms
        }

    def _measured(self, row: RunRow) -> Written | None:
        """What it has written by the directory, whatever disk that is on."""
        run_dir = self._runtime.state_dir.run_dir(row.name)
        if row.backend not in self._runtime.pool.answering:
            return None
        try:
            found = self._runtime.pool[row.backend].written(row.handle or {})
        except BackendError:
            return None
        return {str(run_dir): allocated(run_dir)} | {str(place): size for place, size in found.items()}

    # What is short

    def _waits_for_room(self) -> bool:
        """Whether a run was stopped and the room that it leaves is still to come."""
        row = None if self._ending is None else self._active(self._ending)
        if row is None:
            self._ending = None
        elif row.exit is None:
            self._end(row)
        return row is not None

    def _active(self, key: int) -> RunRow | None:
        row = self._runtime.journal.get(key)
        return row if row is not None and row.active else None

    def _make_room(self, rooms: Sequence[Room], short: Sequence[Room]) -> None:
        if self._sampled_at is not None and self._clock.boot() < self._sampled_at + _BUSY_SHARE * self._sample_took:
            return
        now = self._sample(rooms)
        for room in short:
            disk_path = str(room.path)
            before = self._before.setdefault(disk_path, now[disk_path])
            grown = disk_growth.most_grown(before, now[disk_path])
            row = None if grown is None else self._running(grown.name)
            if grown is not None and row is not None:
                self._stop(row, grown, room)
                break
            if room.free < MIB and room.path == self._runtime.state_dir.root and self._runtime.pool.looked_at:
                self._reserve.give_up()  # for the ends of runs that leave room once they are reported

    def _running(self, name: str) -> RunRow | None:
        found = (row for row in self._runtime.active() if row.name == name)
        return next((row for row in found if row.exit is None and row.outcome is None), None)

    def _stop(self, row: RunRow, grown: Growth, room: Room) -> None:
        """Note it, kill it, make room for its end. The note comes first where the disk still takes it: the next start
        may have to report this end."""
        words = (
            f"it wrote {grown.bytes / MIB:.0f} MB, most of them below {grown.place}, and left {room.free / MIB:.1f} MB "
            "free on that disk: it was stopped, its files are deleted"
        )
        self._notices.say(f"{row.run_id}: {words}", "warning", run=row.run_id)
        self._slots.filled_disk(row, words)
        self._ending = row.key
        noted = self._note(row, words)
        self._end(row)
        if not noted and not self._note(row, words) and self._was_killed(row):
            with suppress(OSError):  # its end needs room, which even the reserve did not give
                self._runtime.state_dir.remove_run_dir(row.name)

    def _was_killed(self, row: RunRow) -> bool:
        """Whether it has ended without a result: one with exit 0 may have left outputs in its directory."""
        try:
            state = self._runtime.pool[row.backend].state(row.handle or {})
        except BackendError:
            return False
        return isinstance(state, Exit) and state.code != 0

    def _note(self, row: RunRow, words: str) -> bool:
        try:
            self._runtime.journal.update(row.key, filled_disk=words)
        except (OSError, sqlite3.Error):
            return False
        return True

    def _end(self, row: RunRow) -> None:
        """Kill it, verified, then give up the reserve, which it would have filled too."""
        try:
            self._runtime.pool[row.backend].stop(row.handle or {}, 0.0)
        except BackendError as error:
            words = f"{row.run_id} fills the disk and cannot be stopped: {error}"
            if words != self._not_stopped:
                self._not_stopped = words
                self._notices.say(words, "error", run=row.run_id)
        else:
            self._reserve.give_up()
        self._slots.wake(row.key)


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
