"""Stop the run that fills a disk, and see to the room that its end needs."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from gyoza_tui.backends.base import BackendError, Exit
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir.disk import Room
from gyoza_tui.worker.state_dir.disk_growth import Growth
from gyoza_tui.worker.state_dir.state_dir import StateDir


class RoomMaker:
    """One at a time: the room that it leaves is waited for."""

    def __init__(
        self, notices: Notices, journal: Journal, pool: BackendPool, slots: Slots, state_dir: StateDir
    ) -> None:
        self._notices = notices
        self._journal = journal
        self._pool = pool
        self._slots = slots
        self._state_dir = state_dir
        self._ending: int | None = None
        """The key of the run that was stopped last, until it is cleaned up."""
        self._not_stopped = ""
        """What was said last of one that could not be stopped; it is tried five times a second."""

    def awaits_room(self) -> bool:
        """Whether a run was stopped and the room that it leaves is still to come."""
        row = None if self._ending is None else self._active(self._ending)
        if row is None:
            self._ending = None
        elif row.exit is None:
            self._end(row)
        return row is not None

    def stop(self, grown: Growth, room: Room) -> bool:
        """Note it, kill it, make room for its end; whether it ran. The note comes first where the disk still takes it:
        the next start may have to report this end."""
        row = self._running(grown.name)
        if row is None:
            return False
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
                self._state_dir.remove_run_dir(row.name)
        return True

    def _running(self, name: str) -> RunRow | None:
        found = (row for row in self._journal.active() if row.name == name)
        return next((row for row in found if row.exit is None and row.outcome is None), None)

    def _active(self, key: int) -> RunRow | None:
        row = self._journal.get(key)
        return row if row is not None and row.active else None

    def _was_killed(self, row: RunRow) -> bool:
        """Whether it has ended without a result: one with exit 0 may have left outputs in its directory."""
        try:
            state = self._pool[row.backend].state(row.handle or {})
        except BackendError:
            return False
        return isinstance(state, Exit) and state.code != 0

    def _note(self, row: RunRow, words: str) -> bool:
        try:
            self._journal.update(row.key, filled_disk=words)
        except (OSError, sqlite3.Error):
            return False
        return True

    def _end(self, row: RunRow) -> None:
        """Kill it, verified, then give up the reserve, which it would have filled too."""
        try:
            self._pool[row.backend].stop(row.handle or {}, 0.0)
        except BackendError as error:
            words = f"{row.run_id} fills the disk and cannot be stopped: {error}"
            if words != self._not_stopped:
                self._not_stopped = words
                self._notices.say(words, "error", run=row.run_id)
        else:
            self._state_dir.reserve.give_up()
        self._slots.wake(row.key)
