"""Keep room on the disks: look at them, and stop the run that fills one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.duties.disk_samples import DiskSamples
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.room_maker import RoomMaker
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir import disk, reserve
from gyoza_tui.worker.state_dir.disk import Room
from gyoza_tui.worker.state_dir.state_dir import StateDir

INTERVAL_S: Final = 1.0
NEAR_S: Final = 0.2
"""While a disk is near its end: an op may write a gigabyte in a second."""
_SAMPLE_S: Final = 30.0
_SAMPLE_NEAR_S: Final = 600.0
"""How old the sample may become that growth is counted from: it must not forget who has just filled the disk."""


class Guard(Duty):
    """Looks at the room every second. What the runs have written is measured now and then, so that a disk that is
    suddenly full is compared with how it was before. With a minimum of 0 nothing is measured and nothing stopped."""

    name = "guard"

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        min_free_mb: int,
        state_dir: StateDir,
        pool: BackendPool,
        mode: ClaimingMode,
        slots: Slots,
        samples: DiskSamples,
        room_maker: RoomMaker,
    ) -> None:
        super().__init__(clock, notices, threading.Event())
        self.min_free_mb = min_free_mb
        self._state_dir = state_dir
        self._pool = pool
        self._mode = mode
        self._slots = slots
        self._samples = samples
        self._room_maker = room_maker
        self._warned = False
        self._was_short = False
        self._filling = False
        """A disk was short and still is near its end."""

    def tick(self) -> float:
        look = disk.look([self._state_dir.root, *self._pool.disks], self.min_free_mb)
        self._mode.disk_looked(look)
        if not self.min_free_mb:
            return INTERVAL_S
        near = [room for room in look.rooms if room.free < disk.near(self.min_free_mb)]
        short = [room for room in near if room.free < disk.short(self.min_free_mb)]
        self._keep_reserve(look.rooms)
        self._warn(look.warning or look.trouble)
        if not short:
            if not (near and self._filling):  # what a reserve has given is no new beginning
                self._samples.renew(look.rooms, _SAMPLE_NEAR_S if near else _SAMPLE_S)
            if self._was_short:
                self._slots.room_again()
        elif not self._room_maker.awaits_room():
            self._make_room(look.rooms, short)
        self._was_short = bool(short)
        self._filling = bool(short or (near and self._filling))
        return NEAR_S if near else INTERVAL_S

    def _keep_reserve(self, rooms: Sequence[Room]) -> None:
        """Make it again once it takes no room that is needed."""
        ours = next((room for room in rooms if room.path == self._state_dir.root), None)
        missing = reserve.SIZE - self._state_dir.reserve.size
        if ours is not None and missing and ours.free - missing >= disk.near(self.min_free_mb):
            self._state_dir.reserve.fill()

    def _warn(self, words: str | None) -> None:
        if words is not None and not self._warned:
            self._notices.say(words, "warning")
        self._warned = words is not None

    def _make_room(self, rooms: Sequence[Room], short: Sequence[Room]) -> None:
        if self._samples.resting:
            return
        now = self._samples.take(rooms)
        for room in short:
            grown = self._samples.most_grown(room, now)
            if grown is not None and self._room_maker.stop(grown, room):
                break
            if room.free < MIB and room.path == self._state_dir.root and self._pool.looked_at:
                self._state_dir.reserve.give_up()  # for the ends of runs that leave room once they are reported
