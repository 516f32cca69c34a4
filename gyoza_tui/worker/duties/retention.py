"""How long ended runs and their logs are kept."""

from __future__ import annotations

import shutil
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import MIB
from gyoza_tui.settings import Settings
from gyoza_tui.worker.journal import secrets as journal_secrets
from gyoza_tui.worker.journal.file import set_aside_beside
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.state_dir.state_dir import StateDir

_DAY_S: Final = 24 * 3600


class Retention:
    """By age, then by the size of all logs together, the oldest first. What is not closed is never touched.

    A log that no row tells of, as after a crash or with a new journal, is as old as its directory.
    """

    def __init__(self, journal: Journal, state_dir: StateDir, clock: Clock, settings: Settings) -> None:
        self._journal = journal
        self._state_dir = state_dir
        self._clock = clock
        self.settings = settings

    def prune(self) -> None:
        """Remove logs and rows of ended runs that were kept for long enough, and the directories of all ended runs."""
        self._prune_logs()
        self._remove_run_dirs()

    def _prune_logs(self) -> None:
        self._forget(self._clock.utc().timestamp() - self.settings.history_days * _DAY_S)
        kept = 0
        ended = [*self._journal.ended(), *self._strangers()]
        for name, ended_at in sorted(ended, key=itemgetter(1), reverse=True):
            kept += _size(self._state_dir.log_of(name))
            if kept > self.settings.history_max_mb * MIB:
                self._forget(ended_at + 0.001)
                return

    def _remove_run_dirs(self) -> None:
        names = self._state_dir.run_dirs()
        active = {row.name for row in self._journal.active()}
        for name in names:
            if name not in active:
                with suppress(OSError):  # told when its run was cleaned up
                    self._state_dir.remove_run_dir(name)

    def _forget(self, before: float) -> None:
        """Remove logs, then what the journals know of them: a log without its secrets could not be shown masked."""
        ended = [name for name, ended_at in (*self._journal.ended(), *self._strangers()) if ended_at < before]
        for name in ended:
            shutil.rmtree(self._state_dir.log_of(name), ignore_errors=True)
        gone = [name for name in ended if not self._state_dir.log_of(name).exists()]
        if not gone:
            return
        self._journal.forget(gone)
        logs = {name for name, _ in self._state_dir.logs()}
        for journal in set_aside_beside(self._state_dir.journal):
            journal_secrets.erase_set_aside(journal, logs)

    def _strangers(self) -> list[tuple[str, float]]:
        """The logs without a row, and when each was written last. The rows are asked after: they come first."""
        found = self._state_dir.logs()
        known = {row.name for row in self._journal.rows()} | {name for name, _ in self._journal.ended()}
        return [(name, at) for name, at in found if name not in known]


def _size(log: Path) -> int:
    try:
        return sum(file.stat().st_size for file in log.iterdir())
    except OSError:
        return 0
