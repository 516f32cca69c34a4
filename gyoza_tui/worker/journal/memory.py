"""What the journal keeps in memory, for readers that must never wait for a disk: the heartbeat and the snapshot.

Each reader gets what it asks for without a look at the rest: rows that nothing can be done for may be many.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final, NamedTuple

from gyoza_tui.worker.journal.row import Outcome, RunRow

_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})


class Unseen(NamedTuple):
    """Failed attempts that nobody has looked at."""

    number: int
    since: float | None
    """UTC seconds of the first one's end."""


class Memory:
    """Thread-safe. The journal changes it after the transaction behind the change is on disk."""

    def __init__(self, rows: Iterable[RunRow], waiting: Mapping[int, int]) -> None:
        """`waiting` is the number of reports per row that the server has neither taken nor refused."""
        self._lock = threading.Lock()
        self._rows: dict[int, RunRow] = {}
        self._active: dict[int, RunRow] = {}
        self._of_server: dict[str, dict[int, RunRow]] = {}
        self._of_run: dict[tuple[str, str], dict[int, RunRow]] = {}
        self._unreported: dict[str, set[int]] = {}
        """Per server the rows that ended and whose end it has not acknowledged."""
        self._waiting: dict[str, dict[int, int]] = {}
        """Per server the reports that wait, per row."""
        self._total = 0
        self._queued: set[int] = set()
        self._steps: dict[int, dict[str, float]] = {}
        self._outcomes: Counter[Outcome] = Counter()
        self._unseen: dict[int, float] = {}
        self.version = 0
        """Grows with each change of what is closed."""
        for row in rows:
            self._keep(row)
            self._wait(row, waiting.get(row.key, 0))

    def rows(self, server_id: str | None = None) -> tuple[RunRow, ...]:
        """Those of one server, or all; oldest first."""
        with self._lock:
            found = self._rows if server_id is None else self._of_server.get(server_id, {})
            return tuple(found.values())

    def active(self) -> tuple[RunRow, ...]:
        """Those of which something is here, oldest first."""
        with self._lock:
            return tuple(self._active.values())

    def of_run(self, server_id: str, run_id: str) -> tuple[RunRow, ...]:
        """The attempts of one run, oldest first."""
        with self._lock:
            return tuple(self._of_run.get((server_id, run_id), {}).values())

    def get(self, key: int) -> RunRow | None:
        with self._lock:
            return self._rows.get(key)

    def steps(self, key: int) -> Mapping[str, float]:
        """The first entry of each step that a row that is not closed went into, by UTC seconds."""
        with self._lock:
            return dict(self._steps.get(key, _NOTHING))

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """How many runs ended how, closed or not: by their last attempt here, so none that is tried again."""
        with self._lock:
            return dict(self._outcomes)

    @property
    def unseen(self) -> Unseen:
        with self._lock:
            return Unseen(len(self._unseen), min(self._unseen.values(), default=None))

    # Reports

    @property
    def waiting(self) -> int:
        """Reports that the server has neither taken nor refused."""
        return self._total

    def reports_of(self, row: RunRow) -> int:
        """Of one row, the reports that wait."""
        with self._lock:
            return self._waiting.get(row.server_id, {}).get(row.key, 0)

    def with_reports(self, server_id: str | None) -> frozenset[int]:
        """The keys of the rows of a server, or of all servers, with reports that wait."""
        with self._lock:
            servers = self._waiting if server_id is None else [server_id]
            return frozenset().union(*(self._waiting.get(server, {}) for server in servers))

    def newly_queued(self) -> set[int]:
        """The keys of the rows that a report was queued for since the last call."""
        with self._lock:
            queued, self._queued = self._queued, set()
            return queued

    def unreported(self, server_id: str | None, but: AbstractSet[int]) -> int:
        """The number of ended rows of a server, or of all servers, whose end is not acknowledged; but for some."""
        with self._lock:
            servers = self._unreported if server_id is None else [server_id]
            ended = [self._unreported.get(server, set()) for server in servers]
            return sum(len(keys) - len(keys & but) for keys in ended)

    # What the journal writes

    def ended(self, outcomes: Mapping[Outcome, int], unseen: Mapping[int, float]) -> None:
        """All that has ended, counted again: how many runs how, and when each failed attempt that was not looked at."""
        with self._lock:
            self._outcomes = Counter(outcomes)
            self._unseen = dict(unseen)
            self.version += 1

    def entered(self, key: int, step: str, at: float) -> None:
        with self._lock:
            self._steps.setdefault(key, {}).setdefault(step, at)

    def changed(self, row: RunRow, queued: int = 0) -> None:
        """The row as it now is, with so many more reports that wait; a closed one is forgotten."""
        with self._lock:
            old = self._rows.get(row.key)
            if old is None and row.closed:
                return
            self._count(old, row)
            if row.closed:
                self._drop(row)
                self.version += 1
            else:
                self._keep(row)
                self._wait(row, queued)

    def saw(self, key: int) -> None:
        with self._lock:
            if self._unseen.pop(key, None) is not None and key not in self._rows:
                self.version += 1

    def _keep(self, row: RunRow) -> None:
        self._rows[row.key] = row
        self._of_server.setdefault(row.server_id, {})[row.key] = row
        self._of_run.setdefault((row.server_id, row.run_id), {})[row.key] = row
        if row.active:
            self._active[row.key] = row
        else:
            self._active.pop(row.key, None)
        if row.unreported:
            self._unreported.setdefault(row.server_id, set()).add(row.key)
        else:
            self._unreported.get(row.server_id, set()).discard(row.key)

    def _wait(self, row: RunRow, more: int) -> None:
        if not more:
            return
        of_server = self._waiting.setdefault(row.server_id, {})
        of_server[row.key] = of_server.get(row.key, 0) + more
        self._total += more
        if not of_server[row.key]:
            del of_server[row.key]
        if more > 0:
            self._queued.add(row.key)

    def _drop(self, row: RunRow) -> None:
        key, run = row.key, (row.server_id, row.run_id)
        del self._rows[key]
        del self._of_server[row.server_id][key]
        del self._of_run[run][key]
        if not self._of_run[run]:
            del self._of_run[run]
        self._active.pop(key, None)
        self._unreported.get(row.server_id, set()).discard(key)
        self._total -= self._waiting.get(row.server_id, {}).pop(key, 0)
        self._queued.discard(key)
        self._steps.pop(key, None)

    def _count(self, old: RunRow | None, row: RunRow) -> None:
        if old is not None and old.outcome is not None and self._is_last(old):
            self._outcomes[old.outcome] -= 1
        if row.outcome is not None and self._is_last(row):
            self._outcomes[row.outcome] += 1
        if row.outcome is Outcome.FAILED and not row.seen:
            self._unseen[row.key] = row.outcome_at or row.claimed_at
        else:
            self._unseen.pop(row.key, None)

    def _is_last(self, row: RunRow) -> bool:
        """Whether its run has no later attempt here. A later one cannot be over while this one changes."""
        return max(self._of_run.get((row.server_id, row.run_id), {row.key: row})) <= row.key
