"""Whether this worker wants work, and if not, why."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gyoza_tui.models.workers import Children, Wanted, WorkerState
from gyoza_tui.worker.state_dir.disk import DiskLook


class ClaimingMode:
    """What people want, here or at the server, whichever came last; and what a low disk forbids. Thread-safe."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._paused = False
        self._draining = False
        self._away = False
        self._wanted: Wanted | None = None
        self._disk: str | None = None
        self._look = DiskLook()

    @property
    def state(self) -> WorkerState:
        """As the server is told."""
        if self._away:
            return WorkerState.AWAY
        if self._draining or self.drain_wanted:
            return WorkerState.DRAINING
        return WorkerState.PAUSED if self._paused else WorkerState.CLAIMING

    @property
    def wanted(self) -> Wanted | None:
        """What the server wants, unless that was overridden here."""
        return self._wanted

    @property
    def drain_wanted(self) -> bool:
        return self._wanted is not None and self._wanted.state is WorkerState.DRAINING

    @property
    def refusal(self) -> str | None:
        """Why no run is taken now, in words; None when runs are."""
        if self.state is not WorkerState.CLAIMING:
            return f"this worker is {self.state}"
        return self._disk

    def refusal_of(self, children: Children | None) -> str | None:
        """Why no such run is taken now: a drain takes what the runs here wait for."""
        takes_them = children is Children.MINE and self.state is WorkerState.DRAINING
        return self._disk if takes_them else self.refusal

    @property
    def disk(self) -> str | None:
        """Why the disk lets no run be taken."""
        return self._disk

    @property
    def disk_free_mb(self) -> int | None:
        """Of the disk with the least room, when it was last looked at."""
        return self._look.free_mb

    @property
    def disk_warning(self) -> str | None:
        """Which disk will soon let no run be taken."""
        return self._look.warning

    def pause(self, paused: bool) -> None:
        self._set("_paused", paused)

    def drain(self, draining: bool) -> None:
        self._set("_draining", draining)

    def want(self, wanted: Wanted | None) -> None:
        """What the server wants, which drains by itself; `pause` does the rest of it."""
        self._set("_wanted", wanted)

    def leave(self) -> None:
        self._set("_away", True)

    def disk_low(self, words: str | None) -> None:
        self._set("_disk", words)

    def disk_looked(self, look: DiskLook) -> None:
        self._look = look
        self.disk_low(look.trouble)

    def _set(self, name: str, value: object) -> None:
        with self._lock:
            same = getattr(self, name) == value
            setattr(self, name, value)
        if not same:
            self._changed()
