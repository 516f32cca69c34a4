"""Who gets what: open claims matched with pending runs. Pure: no clock, no database, no claims of its own."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import OpSpec
from gyoza_tui.models.images import DOCKER, ImageRef

_TROUBLES_SHOWN: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """What a run asks of a worker."""

    backend: str
    op: str | None
    """The owner's command, for a backend other than Docker."""
    constraints: Constraints
    tags: frozenset[str]

    @classmethod
    def of(cls, spec: OpSpec) -> Need:
        image = ImageRef.parse(spec.image)
        op = None if image.backend == DOCKER else image.name
        return cls(image.backend, op, spec.constraints, frozenset(spec.tags))

    def dumps(self) -> str:
        """The same text for the same need, so that runs can be grouped by it."""
        c = self.constraints
        return json.dumps([self.backend, self.op, c.cpu, c.ram_mb, c.vram_mb, c.gpu_id, sorted(self.tags)])

    @classmethod
    def loads(cls, text: str) -> Need:
        backend, op, cpu, ram_mb, vram_mb, gpu_id, tags = json.loads(text)
        return cls(backend, op, Constraints(cpu=cpu, ram_mb=ram_mb, vram_mb=vram_mb, gpu_id=gpu_id), frozenset(tags))


@dataclass(slots=True)
class GpuRoom:
    id: int
    vram_mb: int
    """As reported."""
    free_mb: int
    tags: frozenset[str]


@dataclass(slots=True)
class Room:
    """A worker's free resources; changed as runs are given to it."""

    worker_id: str
    cpu: int
    ram_mb: int
    gpus: list[GpuRoom]
    tags: frozenset[str]
    backends: frozenset[str]
    ops: frozenset[str]
    slots: int
    """How many runs more; a large number when the worker names no limit."""
    takes_work: bool
    """Heard of within its lease, and neither paused, draining nor away."""
    trouble: Mapping[str, str] = field(default_factory=dict)
    """What it has and cannot use now, and why."""
    active: int = 0

    def speaks(self, need: Need) -> bool:
        """Whether backend, op and tags suit, whatever is free."""
        if need.backend not in self.backends or (need.op is not None and need.op not in self.ops):
            return False
        return need.tags <= self.tags or any(need.tags <= self.tags | gpu.tags for gpu in self.gpus)

    def gpus_for(self, need: Need) -> list[GpuRoom] | None:
        """The GPUs that could take it now; None when it needs none."""
        c = need.constraints
        if not c.wants_gpu and need.tags <= self.tags:
            return None
        return [
            gpu
            for gpu in self.gpus
            if (c.gpu_id is None or gpu.id == c.gpu_id)
            and gpu.free_mb >= (c.vram_mb or 0)
            and need.tags <= self.tags | gpu.tags
        ]

    def fits(self, need: Need) -> bool:
        c = need.constraints
        if not self.takes_work or self.slots < 1 or not self.speaks(need):
            return False
        if (c.cpu or 0) > self.cpu or (c.ram_mb or 0) > self.ram_mb:
            return False
        return self.gpus_for(need) != []

    def best_gpu(self, need: Need) -> GpuRoom | None:
        """The smallest GPU that does, so that a small run leaves the big one alone; the fullest of equal ones."""
        gpus = self.gpus_for(need)
        return min(gpus, key=lambda gpu: (gpu.vram_mb, gpu.free_mb, gpu.id)) if gpus else None

    def waste(self, need: Need) -> tuple[int, int, int, int, int]:
        """How much of this worker a run would leave unused; the least is the best fit."""
        c = need.constraints
        gpu = self.best_gpu(need)
        biggest = max((g.vram_mb for g in self.gpus), default=0)
        return (
            gpu.vram_mb if gpu else biggest,
            gpu.free_mb - (c.vram_mb or 0) if gpu else 0,
            self.cpu - c.cpu if c.cpu else 0,
            self.ram_mb - c.ram_mb if c.ram_mb else 0,
            self.active,
        )

    def take(self, constraints: Constraints) -> None:
        """Count an attempt's resources; a GPU that is no longer reported counts nowhere."""
        self.cpu -= constraints.cpu or 0
        self.ram_mb -= constraints.ram_mb or 0
        self.slots -= 1
        self.active += 1
        for gpu in self.gpus:
            if gpu.id == constraints.gpu_id:
                gpu.free_mb -= constraints.vram_mb or 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending run whose time has come."""

    run_id: str
    rank: tuple[int, int]
    """Lower first: (minus priority, age)."""
    paused_for: frozenset[str] = frozenset()
    """Workers that gave it back a short while ago."""
    avoid: str | None = None
    """The worker whose machine failed it: only when no other fits."""


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


def match(queues: Mapping[Need, Iterator[Waiting]], offers: list[Offer], rooms: Iterable[Room]) -> list[Match]:
    """Give each run, by rank, to the best fitting offer.

    `queues` hold the waiting runs of each need by rank; one is read no further once no offer has room for its need.
    `rooms`: every worker, offering or not.
    """
    everyone = list(rooms)
    matches: list[Match] = []
    heads: list[tuple[tuple[int, int], int, Waiting, Need]] = []
    for order, (need, queue) in enumerate(queues.items()):
        _push(heads, order, need, queue, offers)
    while heads and any(offer.slots > 0 for offer in offers):
        _, order, run, need = heapq.heappop(heads)
        fitting = [offer for offer in offers if _suits(offer, run, need, everyone)]
        if fitting:
            best = min(fitting, key=lambda offer: (*offer.room.waste(need), offer.key))
            matches.append(_given(best, run, need))
        _push(heads, order, need, queues[need], offers)
    return matches


def _push(
    heads: list[tuple[tuple[int, int], int, Waiting, Need]],
    order: int,
    need: Need,
    queue: Iterator[Waiting],
    offers: list[Offer],
) -> None:
    if any(offer.slots > 0 and offer.room.fits(need) for offer in offers) and (run := next(queue, None)):
        heapq.heappush(heads, (run.rank, order, run, need))


def _given(offer: Offer, run: Waiting, need: Need) -> Match:
    gpu = offer.room.best_gpu(need)
    constraints = need.constraints.model_copy(update={"gpu_id": gpu.id} if gpu else {})
    offer.room.take(constraints)
    offer.slots -= 1
    return Match(run.run_id, offer.key, constraints)


def _suits(offer: Offer, run: Waiting, need: Need, everyone: list[Room]) -> bool:
    room = offer.room
    if offer.slots < 1 or (offer.only is not None and run.run_id not in offer.only):
        return False
    if room.worker_id in run.paused_for or not room.fits(need):
        return False
    if run.avoid != room.worker_id:
        return True
    return not any(
        other.fits(need) for other in everyone if other is not room and other.worker_id not in run.paused_for
    )


def placement(need: Need, rooms: Iterable[Room], totals: Iterable[Room]) -> str | None:
    """Why a run waits, in words. `totals` are the workers as if nothing ran on them."""
    known = list(totals)
    if not known:
        return "no worker is known"
    return _never(need, known) or _not_now(need, list(rooms))


def _never(need: Need, known: list[Room]) -> str | None:
    c = need.constraints
    able = [room for room in known if need.backend in room.backends]
    if not able:
        return f"needs a worker with the backend {need.backend}; {_in_trouble(known, need.backend) or 'none is known'}"
    if need.op is not None:
        able = [room for room in able if need.op in room.ops]
        if not able:
            return f"needs a worker whose owner lists {need.backend}://{need.op}; none is known"
    able = [room for room in able if room.speaks(need)]
    if not able:
        return f"needs a worker (or a GPU) tagged {', '.join(sorted(need.tags))}; none is known"
    for asked, unit, most in (
        (c.cpu, "cpu", max(room.cpu for room in able)),
        (c.ram_mb, "ram", max(room.ram_mb for room in able)),
    ):
        if asked and asked > most:
            suffix = " MB" if unit == "ram" else ""
            return f"needs {unit} {asked}{suffix}; the largest worker known has {most}{suffix}"
    return _gpu_never(need, able)


def _gpu_never(need: Need, able: list[Room]) -> str | None:
    c = need.constraints
    gpus = [gpu for room in able for gpu in room.gpus if c.gpu_id is None or gpu.id == c.gpu_id]
    if c.wants_gpu and not gpus:
        if c.gpu_id is None:
            return f"needs a GPU; {_in_trouble(able, 'GPU ') or 'no worker known has one'}"
        return f"needs GPU {c.gpu_id}; {_in_trouble(able, f'GPU {c.gpu_id}') or 'none is known'}"
    most = max((gpu.vram_mb for gpu in gpus), default=0)
    if c.vram_mb and c.vram_mb > most:
        return f"needs vram {c.vram_mb} MB; the largest GPU known has {most} MB"
    if any((c.cpu or 0) <= r.cpu and (c.ram_mb or 0) <= r.ram_mb and r.gpus_for(need) != [] for r in able):
        return None
    return "no single worker known has all that it needs at once"


def _in_trouble(rooms: list[Room], what: str) -> str:
    """Which workers have it and cannot use it, and why; the first few, as a run's placement is one line."""
    found = [
        f"worker {room.worker_id} cannot use its {name} now ({words})"
        for room in rooms
        for name, words in room.trouble.items()
        if name == what or (what.endswith(" ") and name.startswith(what))
    ]
    more = f" and {len(found) - _TROUBLES_SHOWN} more" if len(found) > _TROUBLES_SHOWN else ""
    return "; ".join(found[:_TROUBLES_SHOWN]) + more


def _not_now(need: Need, rooms: list[Room]) -> str | None:
    if any(room.fits(need) for room in rooms):
        return None
    if not any(room.takes_work and room.speaks(need) for room in rooms):
        return "every worker that could take it is paused, draining, away or silent"
    return "waits for a worker with enough free"
