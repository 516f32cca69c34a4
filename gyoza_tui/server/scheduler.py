"""Who gets what: open claims matched with pending runs. Pure: no clock, no database, no claims of its own."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from gyoza_tui.models.constraints import Constraints
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


@dataclass(slots=True)
class Offer:
    """An open claim; several may share one worker's room."""

    key: int
    room: Room
    slots: int
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    run_id: str
    key: int
    """Of the offer."""
    constraints: Constraints
    """The run's, with the GPU that was chosen."""
    rank: Rank = field(default=(0, 0, 0), compare=False)


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


def _keep(worker_id: str, need: Need, offers: list[Offer]) -> None:
    """A claim for runs that it names is answered all the same."""
    own = [offer for offer in offers if offer.room.worker_id == worker_id]
    if own and all(offer.only is None for offer in own):
        own[0].room.keep_for(need)


def _push(
    heads: list[tuple[Rank, int, PendingRun, Need]],
    order: int,
    need: Need,
    queue: Iterator[PendingRun],
    offers: list[Offer],
) -> None:
    if any(offer.slots > 0 and offer.room.fits(need) for offer in offers) and (run := next(queue, None)):
        heapq.heappush(heads, (run.rank, order, run, need))


def _given(offer: Offer, run: PendingRun, need: Need) -> Match:
    gpu = offer.room.best_gpu(need)
    constraints = need.constraints.model_copy(update={"gpu_id": gpu.id} if gpu else {})
    offer.room.take(constraints, need.backend, alone=run.alone)
    offer.slots -= 1
    return Match(run.run_id, offer.key, constraints, run.rank)


def _suits(offer: Offer, run: PendingRun, need: Need, everyone: Iterable[Room]) -> bool:
    room = offer.room
    if offer.slots < 1 or (offer.only is not None and run.run_id not in offer.only):
        return False
    if room.worker_id in run.paused_for or not room.fits(need, alone=run.alone):
        return False
    if run.avoid != room.worker_id:
        return True
    return not any(
        other.fits(need, alone=run.alone)
        for other in everyone
        if other is not room and other.worker_id not in run.paused_for
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
