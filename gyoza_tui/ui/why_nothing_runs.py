"""Why nothing runs, or nothing new: in words, from the snapshot alone."""

from __future__ import annotations

from datetime import tzinfo
from enum import StrEnum
from typing import NamedTuple

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui.badge import blocked
from gyoza_tui.ui.format import clock, duration
from gyoza_tui.ui.outside_text import plain_line
from gyoza_tui.ui.wanted import wanted_by
from gyoza_tui.worker.view.snapshot import UNCHECKED, Snapshot


class Cause(StrEnum):
    NAME_HELD = "name held by another"
    KEY_REFUSED = "key refused"
    UNREACHABLE = "server unreachable"
    AWAY = "leaving"
    DRAINING = "draining"
    PAUSED = "paused"
    UNPLACED = "child not placed"
    DISK_FULL = "disk full"
    ENGINE_DOWN = "engine down"
    GPU_OUT = "GPU out"
    NO_SLOT = "no free slot"
    WAITING = "waiting for work"


class Reason(NamedTuple):
    cause: Cause
    text: str
    """Why, since when, what happens next; from outside in parts, on one line."""
    act: str = ""
    """What a person can do, or what the key does."""
    key: str | None = None
    """The action that does it."""

    @property
    def wrong(self) -> bool:
        """Whether something is broken, and not just as somebody wants it."""
        return self.cause in _WRONG


_MACHINE = {Cause.DISK_FULL, Cause.ENGINE_DOWN, Cause.GPU_OUT}
_WRONG = _MACHINE | {Cause.NAME_HELD, Cause.KEY_REFUSED, Cause.UNREACHABLE, Cause.UNPLACED}


def something_runs(snapshot: Snapshot) -> bool:
    return any(view.outcome is None for view in snapshot.runs)


def some_wait(snapshot: Snapshot) -> bool:
    """Whether runs here wait for their children, which a drain goes on claiming."""
    return any(view.waits is not None for view in snapshot.runs)


def why_nothing_runs(
    snapshot: Snapshot, zone: tzinfo | None, *, why_queued: str = "", to_submit: str = ""
) -> tuple[Reason, ...]:
    """All that is in the way, the one to resolve first first; then, where some run could start, what is waited for.

    `why_queued` is the server's reason why a run waits, `to_submit` the command that submits one.
    """
    found = _in_the_way(snapshot, zone)
    return (*found, _waiting(snapshot, why_queued, to_submit)) if _some_could_run(snapshot, found) else found


def takes_runs(snapshot: Snapshot) -> bool:
    """Whether the worker takes a run that fits as soon as it has a slot for it."""
    asked = snapshot.link.beat_at is not None and UNCHECKED not in snapshot.backends.values()
    in_the_way = (reason for reason in _in_the_way(snapshot, None) if reason.cause is not Cause.NO_SLOT)
    return asked and _some_could_run(snapshot, tuple(in_the_way))


def none_is_for_this_worker(snapshot: Snapshot) -> bool:
    """Whether runs wait at the server though this worker could run some."""
    return bool(snapshot.link.queued) and _some_could_run(snapshot, _in_the_way(snapshot, None))


def _some_could_run(snapshot: Snapshot, in_the_way: tuple[Reason, ...]) -> bool:
    """A GPU that is out leaves the runs without one, an engine that is down those of another engine."""
    partial = {Cause.GPU_OUT} if blocked(snapshot) else {Cause.GPU_OUT, Cause.ENGINE_DOWN}
    return all(reason.cause in partial for reason in in_the_way)


def _in_the_way(snapshot: Snapshot, zone: tzinfo | None) -> tuple[Reason, ...]:
    found = (
        server_trouble(snapshot, zone),
        _wish(snapshot, zone),
        _unplaced(snapshot),
        *_machine(snapshot),
        _slots(snapshot),
    )
    return tuple(reason for reason in found if reason)


def server_trouble(snapshot: Snapshot, zone: tzinfo | None) -> Reason | None:
    link = snapshot.link
    if link.name_held_now:
        return Reason(Cause.NAME_HELD, plain_line(link.name_held_now), "stop the other worker, or set GYOZA_WORKER_ID")
    if link.trouble is None:
        return None
    words, next_try = plain_line(link.trouble), _next_try(snapshot)
    if link.unauthorized:
        return Reason(Cause.KEY_REFUSED, f"the server refuses the key: {words}{next_try}", "set GYOZA_API_KEY")
    return Reason(Cause.UNREACHABLE, f"{words}{since(snapshot, zone)}{next_try}", "tries at once", "try_now")


def since(snapshot: Snapshot, zone: tzinfo | None) -> str:
    """` since 02:10 (4:10)`, as long as the server is silent; empty when nobody knows."""
    if snapshot.down_since is None:
        return ""
    silent = max(0.0, snapshot.taken_at - snapshot.down_since)
    return f" since {clock(snapshot.utc - silent, zone)} ({duration(silent)})"


def _next_try(snapshot: Snapshot) -> str:
    return f", next try in {snapshot.next_try_s:.0f} s" if snapshot.next_try_s >= 1 else ", trying now"


def _wish(snapshot: Snapshot, zone: tzinfo | None) -> Reason | None:
    by = wanted_by(snapshot, zone)
    drains = snapshot.state is WorkerState.DRAINING
    claimed = "only what runs here wait for is claimed" if drains and some_wait(snapshot) else "nothing is claimed"
    words = f"{by}; {claimed}" if by else claimed
    match snapshot.state:
        case WorkerState.PAUSED:
            return Reason(Cause.PAUSED, words, "resumes", "pause")
        case WorkerState.DRAINING:
            return Reason(
                Cause.DRAINING,
                f"{words}; {_left(snapshot)}then this worker exits",
                "undoes it",
                "drain",
            )
        case WorkerState.AWAY:
            return Reason(Cause.AWAY, "this worker exits")
        case _:
            return None


def _unplaced(snapshot: Snapshot) -> Reason | None:
    if not snapshot.unplaced:
        return None
    (child, why), *more = snapshot.unplaced.items()
    others = f" (and {len(more)} more)" if more else ""
    return Reason(Cause.UNPLACED, f"{plain_line(child)}: {plain_line(why)}{others}")


def _left(snapshot: Snapshot) -> str:
    waiting = snapshot.to_deliver
    return f"{waiting} {'report is' if waiting == 1 else 'reports are'} to be delivered, " if waiting else ""


def _machine(snapshot: Snapshot) -> list[Reason]:
    reasons = []
    if snapshot.disk is not None:
        reasons.append(Reason(Cause.DISK_FULL, plain_line(snapshot.disk).removeprefix(f"{Cause.DISK_FULL}: ")))
    for name, trouble in snapshot.backends.items():
        if trouble not in (None, UNCHECKED):
            reasons.append(Reason(Cause.ENGINE_DOWN, f"{name}: {plain_line(trouble)}"))
    for gpu, words in snapshot.gpu_trouble.items():
        reasons.append(Reason(Cause.GPU_OUT, f"GPU {gpu} is not offered: {plain_line(words)}"))
    return reasons


def _slots(snapshot: Snapshot) -> Reason | None:
    if snapshot.free_slots > 0:
        return None
    return Reason(Cause.NO_SLOT, f"all {snapshot.max_runs} are taken" if snapshot.max_runs else "this worker has none")


def _waiting(snapshot: Snapshot, why_queued: str, to_submit: str) -> Reason:
    if snapshot.link.beat_at is None:
        return Reason(Cause.WAITING, "the server is being asked for the first time")
    if UNCHECKED in snapshot.backends.values():
        return Reason(Cause.WAITING, "the engines are being looked at for the first time")
    queued = snapshot.link.queued
    if queued:
        why = f": {plain_line(why_queued)}" if why_queued else ""
        return Reason(Cause.WAITING, f"{queued} queued at the server, none of them for this worker now{why}")
    empty = "the server's queue is empty" if queued == 0 else "the server has none"
    return Reason(Cause.WAITING, empty, f"type in another terminal: {to_submit}" if to_submit else "")
