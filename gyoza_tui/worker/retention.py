"""How long ended runs and their logs are kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import MIB
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal import Journal
from gyoza_tui.worker.state_dir import StateDir

_DAY_S: Final = 24 * 3600


class Retention:
    """By age, then by the size of all logs together, the oldest first. What is not closed is never touched."""

    def __init__(self, journal: Journal, state_dir: StateDir, clock: Clock, settings: Settings) -> None:
        self._journal = journal
        self._state_dir = state_dir
        self._clock = clock
        self._days = settings.history_days
        self._max_bytes = settings.history_max_mb * MIB

    def prune(self) -> None:
        self._forget(self._clock.utc().timestamp() - self._days * _DAY_S)
        kept = 0
        for name, ended_at in self._journal.ended():
            kept += _size(self._state_dir.log_of(name))
            if kept > self._max_bytes:
                self._forget(ended_at + 0.001)
                return

    def _forget(self, before: float) -> None:
        for name in self._journal.forget(before):
            shutil.rmtree(self._state_dir.log_of(name), ignore_errors=True)


def _size(log: Path) -> int:
    try:
        return sum(file.stat().st_size for file in log.iterdir())
    except OSError:
        return 0
