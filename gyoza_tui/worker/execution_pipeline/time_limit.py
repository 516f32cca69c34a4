"""How long a run may still take."""

from __future__ import annotations

import math

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.execution_pipeline.services import Record


class TimeLimit:
    """By boot time. What passed before a restart counts, but no time for which the run waited or was frozen."""

    def __init__(self, record: Record, clock: Clock) -> None:
        self._record = record
        self._clock = clock
        now, row = clock.utc().timestamp(), record.row
        timeout_s = math.inf if row.run.timeout_s is None else row.run.timeout_s
        self._ends = clock.boot() + timeout_s - (now - (row.started_at or now))
        """If it had never waited nor been frozen."""

    @property
    def left_s(self) -> float:
        """Seconds; infinite where nothing counts."""
        row = self._record.row
        if row.waiting_since is not None or row.frozen_since is not None:
            return math.inf
        return self._ends + row.waited_s + row.frozen_s - self._clock.boot()

    def lift(self) -> None:
        self._ends = math.inf
