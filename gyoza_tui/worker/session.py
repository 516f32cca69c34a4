"""A session that ends by itself: what ends it, what was done in it, and how it went."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.journal.row import Outcome, RunRow

CLAIM_WAIT_S: Final = 10.0
_BOUNDED_WAIT_S: Final = 1.0
"""How long a claim stays open where the session may end by what it is answered."""


class Bounds(NamedTuple):
    """What ends a session beside a person; none of it: nothing does."""

    max_seconds: float | None = None
    """Then as at a first SIGTERM."""
    until_empty: bool = False
    """When nothing is queued that this worker could take, no run is here and all is reported."""
    run_id: str | None = None
    """Claims that run alone, and ends with it."""
    ticks: int | None = None
    """So many passes of the duties, one after another in one thread."""

    @property
    def by_work(self) -> bool:
        """Whether it ends by what there is to do."""
        return self.until_empty or self.run_id is not None


class Session:
    """Of one worker, bounded or not. `over` is decided once, by whoever sees it first."""

    def __init__(self, clock: Clock, bounds: Bounds, *, claims: bool = True) -> None:
        self._clock = clock
        self.bounds = bounds
        self.claims = claims
        """Whether the worker claims at all."""
        self.over: str | None = None
        """Why it is to end, in words."""
        self._began: float | None = None
        self._began_utc = 0.0
        self._bounded = False
        self._last: dict[str, Outcome] = {}
        self._outcomes: Counter[Outcome] = Counter()
        self._gpu_s = 0.0
        self._state: RunState | None = None
        self._timed_out = False

    def begin(self) -> None:
        self._began, self._began_utc = self._clock.boot(), self._clock.utc().timestamp()
        self._bounded = self.bounds != Bounds()

    def ended(self, row: RunRow) -> None:
        """An attempt has its outcome."""
        if row.outcome is None:
            return
        self._outcomes[row.outcome] += 1
        if self._bounded:
            self._last[row.run_id] = row.outcome
        if row.run.constraints.gpu_id is not None and row.started_at is not None and row.outcome_at is not None:
            self._gpu_s += max(0.0, row.outcome_at - max(row.started_at, self._began_utc))

    def end(self, why: str, state: RunState | None = None) -> None:
        """Its bound is met; `state` is that of the one run which it was for."""
        self._state = state
        self.over = why

    def end_by_time(self) -> None:
        """Its time is over; what the runs here wait for is still claimed."""
        self._timed_out = True
        self.over = f"{self.bounds.max_seconds:g} s are over"

    def lift(self) -> None:
        """A person has undone its end: it goes on without bounds."""
        self.bounds, self.over, self._timed_out = Bounds(), None, False

    @property
    def wants_no_claim(self) -> bool:
        """Whether it ends because there was nothing to claim: a further claim might be answered."""
        return self.over is not None and self.bounds.by_work and not self._timed_out

    @property
    def claim_wait_s(self) -> float:
        if self.bounds.ticks is not None:
            return 0.0
        return _BOUNDED_WAIT_S if self.bounds.by_work else CLAIM_WAIT_S

    @property
    def bounded(self) -> bool:
        return self._bounded

    @property
    def time_is_over(self) -> bool:
        limit = self.bounds.max_seconds
        return limit is not None and self._began is not None and self._clock.boot() >= self._began + limit

    @property
    def went_well(self) -> bool:
        """Whether the one run has completed; of a session for any: whether none was left failed."""
        if self.bounds.run_id is not None:
            known = self._last.get(self.bounds.run_id)
            return self._state is RunState.COMPLETED or (self._state is None and known is Outcome.COMPLETED)
        return Outcome.FAILED not in self._last.values()

    def summary(self, left: int) -> tuple[str, dict[str, Any]]:
        """Runs by outcome, time and GPU hours: a line for a person, and the same as data."""
        seconds = self._clock.boot() - (self._began or 0.0)
        runs = {str(outcome): self._outcomes[outcome] for outcome in Outcome if self._outcomes[outcome]}
        fields = {"runs": runs, "left": left, "seconds": round(seconds, 3), "gpu_hours": round(self._gpu_s / 3600, 4)}
        counted = ", ".join(f"{number} {outcome}" for outcome, number in runs.items()) or "no run ended"
        stay = f", {left} left to the next start" if left else ""
        return f"session: {counted}{stay}; {seconds:.1f} s, {self._gpu_s / 3600:.2f} GPU hours", fields
