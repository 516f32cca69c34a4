"""How the attempts that ended here since this process began have ended, and how long they ran."""

from __future__ import annotations

import bisect
import itertools
import math
import threading
from collections import Counter
from typing import Final, NamedTuple

from gyoza_tui.worker.journal.row import Outcome, RunRow

BUCKETS_S: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0, 72 * 3600.0)


class Histogram(NamedTuple):
    buckets: tuple[tuple[float, int], ...]
    """Up to how many seconds, and how many of them: each counts those of the ones before too, the last one all."""
    sum_s: float


class Durations:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: Counter[Outcome] = Counter()
        self._ran: dict[Outcome, list[int]] = {outcome: [0] * (len(BUCKETS_S) + 1) for outcome in Outcome}
        self._sum_s = dict.fromkeys(Outcome, 0.0)

    def ended(self, row: RunRow) -> None:
        """An attempt has its outcome; one whose container never started took no time."""
        if row.outcome is None:
            return
        with self._lock:
            self._ended[row.outcome] += 1
            if row.started_at is not None and row.outcome_at is not None:
                seconds = max(0.0, row.outcome_at - row.started_at)
                self._ran[row.outcome][bisect.bisect_left(BUCKETS_S, seconds)] += 1
                self._sum_s[row.outcome] += seconds

    def counts(self) -> dict[Outcome, int]:
        with self._lock:
            return {outcome: self._ended[outcome] for outcome in Outcome}

    def histogram(self, outcome: Outcome) -> Histogram:
        with self._lock:
            counted, sum_s = list(self._ran[outcome]), self._sum_s[outcome]
        running = itertools.accumulate(counted)
        return Histogram(tuple(zip((*BUCKETS_S, math.inf), running, strict=True)), sum_s)
