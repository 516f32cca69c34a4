"""What the journal keeps in memory, for readers that must never wait for a disk: the heartbeat and the snapshot."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gyoza_tui.worker.run_row import Outcome, RunRow

_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})


class Unseen(NamedTuple):
    """Failed attempts that nobody has looked at."""

    number: int
    since: float | None
    """UTC seconds of the first one's end."""


class Memory:
    """Thread-safe. The journal changes it after the transaction behind the change is on disk."""

    def __init__(self, rows: Iterable[RunRow]) -> None:
        self._lock = threading.Lock()
        self._rows = {row.key: row for row in rows}
        self._steps: dict[int, dict[str, float]] = {}
        self._outcomes: Counter[Outcome] = Counter()
        self._unseen: dict[int, float] = {}
        self.version = 0
        """Grows with each change of what is closed."""

    def rows(self) -> tuple[RunRow, ...]:
        with self._lock:
            return tuple(self._rows.values())

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

    # What the journal tells

    def ended(self, outcomes: Mapping[Outcome, int], unseen: Mapping[int, float]) -> None:
        """All that has ended, counted anew: how many runs how, and when each failed attempt that nobody has seen."""
        with self._lock:
            self._outcomes = Counter(outcomes)
            self._unseen = dict(unseen)
            self.version += 1

    def entered(self, key: int, step: str, at: float) -> None:
        with self._lock:
            self._steps.setdefault(key, {}).setdefault(step, at)

    def changed(self, row: RunRow) -> None:
        """The row as it now is; a closed one is forgotten."""
        with self._lock:
            old = self._rows.get(row.key)
            if old is None and row.closed:
                return
            self._count(old, row)
            if row.closed:
                del self._rows[row.key]
                self._steps.pop(row.key, None)
                self.version += 1
            else:
                self._rows[row.key] = row

    def saw(self, key: int) -> None:
        with self._lock:
            if self._unseen.pop(key, None) is not None and key not in self._rows:
                self.version += 1

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
        run = (row.server_id, row.run_id)
        return not any(other.key > row.key and (other.server_id, other.run_id) == run for other in self._rows.values())
