"""Why a run waits, in words."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from gyoza_tui.models.cores import cores
from gyoza_tui.server.room import Need, Room

_TROUBLES_SHOWN: Final = 2


class Kind(StrEnum):
    """Sorts of reasons why a run waits."""

    NO_WORKER = "no_worker"
    NO_BACKEND = "no_backend"
    NO_OP = "no_op"
    TOO_OLD = "too_old"
    """No worker is new enough."""
    NO_TAG = "no_tag"
    TOO_LARGE = "too_large"
    """No worker known has all that it needs, whatever runs there."""
    NO_GPU = "no_gpu"
    CLOSED = "closed"
    """Workers that could take it are paused, draining, away or silent."""
    ALONE = "alone"
    """It must be alone, or another is."""
    OTHER_PROGRAMS = "other_programs"
    """They use the GPU."""
    WAITING_RUNS = "waiting_runs"
    """Runs that wait for their children hold the memory, or the GPU, that it needs."""
    NO_ROOM = "no_room"
    """Runs use what it needs."""


class Why(NamedTuple):
    kind: Kind
    words: str


def placement(need: Need, rooms: Iterable[Room], totals: Iterable[Room], *, alone: bool = False) -> Why | None:
    """Why a run waits. `totals` are the workers as if nothing ran on them."""
    known = list(totals)
    if not known:
        return Why(Kind.NO_WORKER, "no worker is known")
    return _never(need, known) or _not_now(need, list(rooms), alone=alone)


def given_back(
    need: Need, times: int, why: str, finally_by: set[str], totals: Iterable[Room], otherwise: str | None
) -> str:
    """Why a run that workers gave back waits. `finally_by` will never take it; `otherwise`: why it waits besides."""
    able = {room.worker_id for room in totals if room.speaks(need) and room.is_large_enough(need)}
    if finally_by and able <= finally_by:
        return f"no worker will ever take it: {why}"
    words = f"given back by {why}" if times == 1 else f"given back {times} times, last by {why}"
    return f"{words}; {otherwise}" if otherwise else words


def _never(need: Need, known: list[Room]) -> Why | None:
    c = need.constraints
    able = [room for room in known if need.backend in room.backends]
    if not able:
        why = _in_trouble(known, need.backend) or "none is known"
        return Why(Kind.NO_BACKEND, f"needs a worker with the backend {need.backend}; {why}")
    if need.op is not None:
        able = [room for room in able if need.op in room.ops]
        if not able:
            return Why(Kind.NO_OP, f"needs a worker whose owner lists {need.backend}://{need.op}; none is known")
    able = [room for room in able if room.understands(need)]
    if not able:
        return Why(Kind.TOO_OLD, f"needs cpu {c.cpu}; no worker known is new enough to give out parts of a core")
    able = [room for room in able if room.speaks(need)]
    if not able:
        return Why(Kind.NO_TAG, f"needs a worker (or a GPU) tagged {', '.join(sorted(need.tags))}; none is known")
    most = max(room.cpu_tenths for room in able)
    if c.cpu_tenths > most:
        return Why(Kind.TOO_LARGE, f"needs cpu {c.cpu}; the largest worker known has {cores(most)}")
    most = max(room.ram_mb for room in able)
    if c.ram_mb and c.ram_mb > most:
        return Why(Kind.TOO_LARGE, f"needs ram {c.ram_mb} MB; the largest worker known has {most} MB")
    return _gpu_never(need, able)


def _gpu_never(need: Need, able: list[Room]) -> Why | None:
    c = need.constraints
    gpus = [gpu for room in able for gpu in room.gpus if c.gpu_id is None or gpu.id == c.gpu_id]
    if c.wants_gpu and not gpus:
        if c.gpu_id is None:
            return Why(Kind.NO_GPU, f"needs a GPU; {_in_trouble(able, 'GPU ') or 'no worker known has one'}")
        why = _in_trouble(able, f"GPU {c.gpu_id}") or "none is known"
        return Why(Kind.NO_GPU, f"needs GPU {c.gpu_id}; {why}")
    most = max((gpu.vram_mb for gpu in gpus), default=0)
    if c.vram_mb and c.vram_mb > most:
        return Why(Kind.TOO_LARGE, f"needs vram {c.vram_mb} MB; the largest GPU known has {most} MB")
    if any(room.is_large_enough(need) for room in able):
        return None
    return Why(Kind.TOO_LARGE, "no single worker known has all that it needs at once")


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


def _not_now(need: Need, rooms: list[Room], *, alone: bool) -> Why | None:
    if any(room.fits(need, alone=alone) for room in rooms):
        return None
    if not any(room.takes_work and room.speaks(need) for room in rooms):
        return Why(Kind.CLOSED, "every worker that could take it is paused, draining, away or silent")
    if alone:
        return Why(Kind.ALONE, "waits to run alone: its engine was restarted under it and its neighbours")
    if any(room.has_room(need) for room in rooms):
        return Why(Kind.ALONE, f"waits while another run is alone on {need.backend}: its engine was restarted under it")
    if words := _used_by_others(need, rooms):
        return Why(Kind.OTHER_PROGRAMS, words)
    if words := _held_by_waiting_runs(need, rooms):
        return Why(Kind.WAITING_RUNS, words)
    suitable = [room.gpus_for(need) for room in rooms if room.takes_work and room.speaks(need)]
    if not need.constraints.vram_mb and all(gpus == [] for gpus in suitable):
        words = "waits for a GPU that nothing else uses: it names no vram_mb, so it gets a whole one"
        return Why(Kind.NO_ROOM, words)
    return Why(Kind.NO_ROOM, "waits for a worker with enough free")


def _used_by_others(need: Need, rooms: list[Room]) -> str | None:
    """Which GPU it would get if no other program used it."""
    for room in rooms:
        if not room.takes_work or room.gpus_for(need) != []:
            continue
        free = room.gpus_for(need, [gpu.without_others() for gpu in room.gpus])
        for gpu in room.gpus:
            if gpu.foreign_mb and any(gpu.id == each.id for each in free or ()):
                return (
                    f"waits for GPU {gpu.id} of worker {room.worker_id}: other programs use {gpu.foreign_mb} MB of it"
                )
    return None


def _held_by_waiting_runs(need: Need, rooms: list[Room]) -> str | None:
    """How many hold what it needs, where they are the fewest."""
    found = [
        sum(bool(each.ram_mb) or each.gpu_id is not None for each in room.waiting)
        for room in rooms
        if room.waiting and room.without_waiting().has_room(need)
    ]
    if not found:
        return None
    return f"waits for memory held by {min(found)} waiting run{'' if min(found) == 1 else 's'}"
