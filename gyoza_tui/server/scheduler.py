"""Who gets what: open claims matched with pending runs. Pure: no clock, no database, no claims of its own."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.workers import Children
from gyoza_tui.server.room import Need, Room

Rank: TypeAlias = tuple[int, int, int]
"""The least goes first: minus priority, minus depth, so that children go before others, and age."""


@dataclass(frozen=True, slots=True)
class PendingRun:
    """A pending run whose time has come."""

    run_id: str
    rank: Rank
    paused_for: frozenset[str] = frozenset()
    """Workers that gave it back a short while ago."""
    avoid: str | None = None
    """The worker whose machine failed it: only when no other fits."""
    alone: bool = False
    """It starts alone on its backend."""
    waited_for_at: frozenset[str] = frozenset()
    """Workers at which a run above it waits for its children."""


@dataclass(slots=True)
class Offer:
    """An open claim; several may share one worker's room."""

    key: int
    room: Room
    slots: int
    only: frozenset[str] | None = None
    children: Children | None = None
    """Where both are given, what either of them names is wanted."""

    @property
    def for_all(self) -> bool:
        """Whether it asks for no runs in particular."""
        return self.only is None and self.children is None

    def wants(self, run: PendingRun) -> bool:
        if self.for_all or (self.only is not None and run.run_id in self.only):
            return True
        if self.children is Children.MINE:
            return self.room.worker_id in run.waited_for_at
        return self.children is Children.ANY and bool(run.waited_for_at)

    def has_room(self, need: Need) -> bool:
        """For some run of that need, if not for every one."""
        return self.slots > 0 and self.room.fits(need, child=True)

    def is_open(self, need: Need) -> bool:
        """To every run of that need."""
        return self.slots > 0 and self.for_all and (self.room.rest or self.room).fits(need)

    def room_for(self, run: PendingRun) -> Room:
        """What is kept for a run is kept neither from runs asked for by name nor from what another run waits for."""
        return self.room if self.only is not None or run.waited_for_at else self.room.rest or self.room


@dataclass(frozen=True, slots=True)
class Match:
    run_id: str
    key: int
    """Of the offer."""
    constraints: Constraints
    """The run's, with the GPU that was chosen."""
    rank: Rank = field(default=(0, 0, 0), compare=False)
    in_turn: bool = field(default=True, compare=False)
    """By its rank: neither because it was asked for by name nor because another run waits for it."""


def match(
    queues: Mapping[Need, Iterator[PendingRun]],
    offers: list[Offer],
    rooms: Iterable[Room],
    reserved: Sequence[tuple[str, PendingRun, Need]] = (),
) -> list[Match]:
    """Give each run, by rank, to the best fitting offer.

    `queues` hold the waiting runs of each need by rank; one is read no further once no offer has room for its need.
    `rooms`: every worker, offering or not; looked at, as a whole and again, only where a run needs it.
    `reserved`: workers, each with the run for which it is kept: runs of lower rank get the rest of it.
    """
    matches: list[Match] = []
    heads: list[tuple[Rank, int, PendingRun, Need]] = []
    for order, (need, queue) in enumerate(queues.items()):
        _push(heads, order, need, queue, offers)
    kept_for = {run.run_id: worker_id for worker_id, run, _ in reserved}
    for _, run, need in reserved:
        heapq.heappush(heads, (run.rank, -1, run, need))
    seen: set[str] = set()
    while heads and any(offer.slots > 0 for offer in offers):
        _, order, run, need = heapq.heappop(heads)
        fitting = [] if run.run_id in seen else [offer for offer in offers if _suits(offer, run, need, rooms)]
        if fitting:
            best = min(fitting, key=lambda offer: (*offer.room.unfitness(need), offer.key))
            matches.append(_given(best, run, need))
        elif run.alone:
            _drain(run, need, rooms)
        elif order < 0:
            _keep(kept_for[run.run_id], need, offers)
        seen.add(run.run_id)
        if order >= 0:
            _push(heads, order, need, queues[need], offers)
    return matches


def _keep(worker_id: str, need: Need, offers: Iterable[Offer]) -> None:
    own = next((offer.room for offer in offers if offer.room.worker_id == worker_id), None)
    if own is not None:
        own.keep_for(need)


def _push(
    heads: list[tuple[Rank, int, PendingRun, Need]],
    order: int,
    need: Need,
    queue: Iterator[PendingRun],
    offers: list[Offer],
) -> None:
    if any(offer.has_room(need) for offer in offers) and (run := next(queue, None)):
        heapq.heappush(heads, (run.rank, order, run, need))


def _given(offer: Offer, run: PendingRun, need: Need) -> Match:
    gpu = offer.room_for(run).best_gpu(need)
    constraints = need.constraints.model_copy(update={"gpu_id": gpu.id} if gpu else {})
    offer.room.take(constraints, need.backend, alone=run.alone)
    offer.slots -= 1
    in_turn = offer.only is None and not run.waited_for_at
    return Match(run.run_id, offer.key, constraints, run.rank, in_turn)


def _suits(offer: Offer, run: PendingRun, need: Need, everyone: Iterable[Room]) -> bool:
    room = offer.room_for(run)
    if offer.slots < 1 or not offer.wants(run) or room.worker_id in run.paused_for:
        return False
    if not room.fits(need, alone=run.alone, child=room.worker_id in run.waited_for_at):
        return False
    if run.avoid != room.worker_id:
        return True
    return not any(
        other.fits(need, alone=run.alone)
        for other in everyone
        if other.worker_id != room.worker_id and other.worker_id not in run.paused_for
    )


def _drain(run: PendingRun, need: Need, everyone: Iterable[Room]) -> None:
    """Have one worker take nothing else on that backend, of lower rank, until the run can be alone there.

    The one with the least to wait for, so that the same one is found again while it empties. One at a time: where a
    backend is closed already its turn comes.
    """
    able = [room for room in everyone if room.could_fit(need) and room.worker_id not in run.paused_for]
    if able and not any(need.backend in room.closed for room in able):
        best = min(able, key=lambda room: (room.company(need.backend), room.worker_id == run.avoid, room.worker_id))
        best.closed.add(need.backend)
