"""What a run needs, and what a worker has free for it. Pure: no clock and no database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import OpSpec
from gyoza_tui.models.gpu_room import GpuRoom
from gyoza_tui.models.images import DOCKER, ImageRef
from gyoza_tui.models.workers import Feature


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """What a run asks of a worker."""

    backend: str
    op: str | None
    """The owner's command, for a backend other than Docker."""
    constraints: Constraints
    tags: frozenset[str]
    cpu_tenths: int = field(init=False)
    """Looked at for every worker, again and again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cpu_tenths", self.constraints.cpu_tenths)

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
    @lru_cache(maxsize=4096)
    def loads(cls, text: str) -> Need:
        """Of one text always the same need."""
        backend, op, cpu, ram_mb, vram_mb, gpu_id, tags = json.loads(text)
        return cls(backend, op, Constraints(cpu=cpu, ram_mb=ram_mb, vram_mb=vram_mb, gpu_id=gpu_id), frozenset(tags))


def is_alone(started_at: int | None, alone_s: int, now: int) -> bool:
    """Whether an attempt that starts alone for `alone_s` seconds must still be alone; times in microseconds."""
    return alone_s > 0 and (started_at is None or now < started_at + alone_s * 1_000_000)


@dataclass(slots=True)
class Room:
    """A worker's free resources; changed as runs are given to it."""

    worker_id: str
    cpu_tenths: int
    ram_mb: int
    gpus: list[GpuRoom]
    tags: frozenset[str]
    backends: frozenset[str]
    ops: frozenset[str]
    slots: int
    """How many runs more; a large number when the worker names no limit."""
    takes_work: bool
    """Heard of within its lease, and neither paused, draining nor away."""
    takes_children: bool = False
    """It does take children of the runs that wait here: as above, or it is draining."""
    features: frozenset[str] = frozenset()
    """What it understands beyond the first version."""
    trouble: Mapping[str, str] = field(default_factory=dict)
    """What it has and cannot use now, and why."""
    active: int = 0
    on: Counter[str] = field(default_factory=Counter)
    """Runs on each backend."""
    proven: Counter[str] = field(default_factory=Counter)
    """Those of them that have been alone there without ending their engine: no company to one that must be alone."""
    closed: set[str] = field(default_factory=set)
    """Backends that a run has, or waits to have, to itself."""
    waiting: list[Constraints] = field(default_factory=list)
    """Of the attempts that wait for their children here."""
    rest: Room | None = None
    """What is left of it once one run has got what is kept for that run."""
    whole: tuple[int, int] = field(init=False)
    """Tenths of cores, and memory, as if nothing ran on it."""

    def __post_init__(self) -> None:
        self.whole = self.cpu_tenths, self.ram_mb

    def speaks(self, need: Need) -> bool:
        """Whether backend, op and tags suit, and it understands what is asked, whatever is free."""
        if not self.understands(need):
            return False
        if need.backend not in self.backends or (need.op is not None and need.op not in self.ops):
            return False
        return need.tags <= self.tags or any(need.tags <= self.tags | gpu.tags for gpu in self.gpus)

    def understands(self, need: Need) -> bool:
        return not need.cpu_tenths % 10 or Feature.FRACTIONAL_CPU in self.features

    def gpus_for(self, need: Need, gpus: Iterable[GpuRoom] | None = None) -> list[GpuRoom] | None:
        """The GPUs that could take it now, or were they as in `gpus`; None when it needs none."""
        c = need.constraints
        if not c.wants_gpu and need.tags <= self.tags:
            return None
        return [
            gpu
            for gpu in (self.gpus if gpus is None else gpus)
            if c.gpu_id in (None, gpu.id) and need.tags <= self.tags | gpu.tags and gpu.fits(c.vram_mb)
        ]

    def company(self, backend: str) -> int:
        """How many runs must end before one can be alone there."""
        return self.on[backend] - self.proven[backend]

    def fits(self, need: Need, *, alone: bool = False, child: bool = False) -> bool:
        """Whether it can start here now.

        `alone`: with no other run on its backend but proven ones; `child`: of a run that waits here.
        """
        if need.backend in self.closed or (alone and self.company(need.backend)):
            return False
        return self.has_room(need, child=child)

    def could_fit(self, need: Need) -> bool:
        """Whether it fits once what runs here has ended."""
        c, (cpu, ram_mb) = need.constraints, self.whole
        if not self.takes_work or not self.speaks(need) or need.cpu_tenths > cpu or (c.ram_mb or 0) > ram_mb:
            return False
        return self.gpus_for(need, [gpu.without_runs() for gpu in self.gpus]) != []

    def is_large_enough(self, need: Need) -> bool:
        """Whether it has all of it, on a room on which nothing runs."""
        c = need.constraints
        return need.cpu_tenths <= self.cpu_tenths and (c.ram_mb or 0) <= self.ram_mb and self.gpus_for(need) != []

    def has_room(self, need: Need, *, child: bool = False) -> bool:
        c = need.constraints
        if not (self.takes_work or (child and self.takes_children)) or self.slots < 1 or not self.speaks(need):
            return False
        if (need.cpu_tenths and need.cpu_tenths > self.cpu_tenths) or (c.ram_mb and c.ram_mb > self.ram_mb):
            return False
        return self.gpus_for(need) != []

    def missing(self, need: Need) -> float:
        """How much has to end before it fits: parts of what this worker has, summed; the least is reached first."""
        c, (cpu, ram_mb) = need.constraints, self.whole
        cpu_missing, ram_missing = need.cpu_tenths - self.cpu_tenths, (c.ram_mb or 0) - self.ram_mb
        parts = [max(0, cpu_missing) / max(1, cpu), max(0, ram_missing) / max(1, ram_mb)]
        gpus = self.gpus_for(need, [gpu.without_runs() for gpu in self.gpus])
        if gpus:
            now = [gpu for gpu in self.gpus if any(gpu.id == each.id for each in gpus)]
            parts.append(min(max(0, (c.vram_mb or g.vram_mb) - g.free_mb) / max(1, g.vram_mb) for g in now))
        return sum(parts) + (self.slots < 1)

    def keep_for(self, need: Need) -> None:
        """Keep what the run needs from others, though it is not free yet."""
        self.rest = self.rest or self.copy()
        fitting = self.gpus_for(need, [gpu.without_runs() for gpu in self.gpus])
        ids = [gpu.id for gpu in fitting or ()]
        kept = max((gpu for gpu in self.gpus if gpu.id in ids), key=lambda gpu: gpu.free_mb, default=None)
        constraints = need.constraints.model_copy(update={"gpu_id": kept.id} if kept else {})
        self.rest.take(constraints, need.backend)

    def copy(self) -> Room:
        """Changed apart from this one, but that a backend which is closed is so in both."""
        gpus = [replace(gpu) for gpu in self.gpus]
        copy = replace(self, gpus=gpus, on=Counter(self.on), proven=Counter(self.proven))
        copy.whole = self.whole
        return copy

    def best_gpu(self, need: Need) -> GpuRoom | None:
        """The smallest GPU that does, so that a small run leaves the big one alone; of equal ones the least used."""
        return min(self.gpus_for(need) or (), key=GpuRoom.unfitness, default=None)

    def unfitness(self, need: Need) -> tuple[int, ...]:
        """The least is the best worker for a run: the smallest that does, of equal ones the least used."""
        c, gpu = need.constraints, self.best_gpu(need)
        cpu, ram_mb = self.whole
        on_gpu = gpu.unfitness()[:-1] if gpu else (max((g.gib for g in self.gpus), default=0), 0, 0)
        # machines are of one size although a kernel took some MB more of one of them
        size = (cpu // 10).bit_length() if c.cpu else 0, ram_mb.bit_length() if c.ram_mb else 0
        return *on_gpu, *size, self.active, -self.cpu_tenths if c.cpu else 0, -self.ram_mb if c.ram_mb else 0

    def take(self, constraints: Constraints, backend: str, *, alone: bool = False) -> None:
        """Count an attempt's resources."""
        if self.rest is not None:
            self.rest.take(constraints, backend, alone=alone)
        self.on[backend] += 1
        if alone:
            self.closed.add(backend)
        self.cpu_tenths -= constraints.cpu_tenths
        self.slots -= 1
        self.active += 1
        self.take_memory(constraints)

    def take_waiting(self, constraints: Constraints) -> None:
        """Count an attempt that waits for its children: neither a slot nor a processor. It is no company to one that
        must be alone, which may be a child of its own."""
        self.waiting.append(constraints)
        self.take_memory(constraints)

    def take_memory(self, constraints: Constraints) -> None:
        """A GPU that is no longer reported counts nowhere."""
        self.ram_mb -= constraints.ram_mb or 0
        for gpu in self.gpus:
            if gpu.id == constraints.gpu_id:
                gpu.take(constraints.vram_mb)

    def without_waiting(self) -> Room:
        """As if the attempts that wait here had ended."""
        room = self.copy()
        for constraints in self.waiting:
            room.ram_mb += constraints.ram_mb or 0
            for gpu in room.gpus:
                if gpu.id == constraints.gpu_id:
                    gpu.give_back(constraints.vram_mb)
        return room
