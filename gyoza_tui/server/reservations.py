"""Workers kept free for runs that others have passed.

A run is passed when one of lower rank is placed while it is due. The first run of a need that was passed for some time
gets a worker that could take it with only our runs gone; runs of lower rank no longer get what it needs there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.scheduler import PendingRun, Rank

_LOOK_S: Final = 1.0
_MOST: Final = 16
"""Runs for which workers are kept at the same time."""


class Reservation(NamedTuple):
    """One worker, for one run."""

    run: PendingRun
    need: Need
    since: float
    """Boot time."""


class Reservations:
    """Kept in memory: after a start of the server the time begins again. Touched by the writer thread only."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        """0: nothing is ever reserved."""
        self._looked_at = float("-inf")
        self._passed: dict[str, float] = {}
        """Since when each run was passed, in boot time."""
        self.by_worker: Mapping[str, Reservation] = {}
        """Replaced, never changed."""

    def due(self, now: float) -> bool:
        """Whether to look again for which runs a worker is kept: once a second, where there is any."""
        if now - self._looked_at < _LOOK_S:
            return False
        return bool(self.by_worker) or any(self._is_over(at, now) for at in self._passed.values())

    def of(self, firsts: Iterable[tuple[PendingRun, Need]]) -> list[tuple[str, PendingRun, Need]]:
        """Worker, run and need of each that is still the first of its need."""
        held = {reservation.run.run_id: worker_id for worker_id, reservation in self.by_worker.items()}
        return [(held[run.run_id], run, need) for run, need in firsts if run.run_id in held]

    def words(self, worker_id: str, now: float) -> str | None:
        if (reservation := self.by_worker.get(worker_id)) is None:
            return None
        return f"reserved for {reservation.run.run_id} since {max(0.0, now - reservation.since):.0f} s"

    def worker_of(self, run_id: str) -> str | None:
        return next((worker for worker, each in self.by_worker.items() if each.run.run_id == run_id), None)

    def reserve(self, firsts: Iterable[tuple[PendingRun, Need]], rooms: Iterable[Room], now: float) -> None:
        """Keep what still holds, and reserve a worker for each run that was passed too long; `firsts` of all needs."""
        self._looked_at = now
        before = {reservation.run.run_id: worker_id for worker_id, reservation in self.by_worker.items()}
        passed = [
            (run, need)
            for run, need in firsts
            if not run.alone and (run.run_id in before or self._is_over(self._passed.get(run.run_id, now), now))
        ]
        everyone, kept = list(rooms), dict[str, Reservation]()
        for run, need in sorted(passed, key=lambda each: each[0].rank)[:_MOST]:
            free = (room for room in everyone if room.worker_id not in kept and room.worker_id not in run.paused_for)
            able = [room for room in free if room.could_fit(need)]
            if able:
                own = before.get(run.run_id)
                best = min(able, key=lambda room: (room.worker_id != own, room.missing(need), room.worker_id))
                since = self.by_worker[own].since if own == best.worker_id else now
                kept[best.worker_id] = Reservation(run, need, since)
        self.by_worker = kept

    def note(self, firsts: Iterable[PendingRun], placed: Iterable[Rank], taken: set[str], now: float) -> None:
        """After runs of the ranks `placed` were given out, those named in `taken`."""
        lowest = max(placed, default=None)
        left = [run for run in firsts if run.run_id not in taken]
        passed = {run.run_id for run in left if lowest is not None and run.rank < lowest}
        self._passed = {
            run.run_id: self._passed.get(run.run_id, now)
            for run in left
            if run.run_id in self._passed or run.run_id in passed
        }

    def _is_over(self, passed_at: float, now: float) -> bool:
        return bool(self._after_s) and now - passed_at >= self._after_s
