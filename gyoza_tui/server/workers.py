"""Heartbeats: who a worker is, what it runs, what becomes of what it no longer runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.states import OWNED
from gyoza_tui.models.workers import (
    PROTOCOL,
    Children,
    Feature,
    HeartbeatReply,
    HeartbeatRequest,
    WorkerState,
)
from gyoza_tui.server import eviction, schema, verdicts, wanted_state
from gyoza_tui.server.claims import OpenClaim
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, worker_unknown
from gyoza_tui.server.roster import CHANGING, Held, Known, held_attempts
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.shared_state import SharedState

# built once: to build a statement takes longer than to execute it
_QUEUED = select(func.coalesce(func.sum(schema.queued.c.runs), 0))


def beat(shared: SharedState, tx: Transaction, request: HeartbeatRequest) -> HeartbeatReply:
    """Take a heartbeat; Refused when the name belongs to another instance or a later start of this one."""
    known = _admitted(shared, tx, request)
    late = _is_late(known, request)
    _remember(shared, tx, known, request)
    found = {op.id: verdicts.of(shared, tx, known, op, late=late) for op in request.running_ops}
    if known.lists:
        _miss(shared, tx, known)
    _answer_claims_early(shared, tx, known)
    return HeartbeatReply(
        protocol=PROTOCOL,
        lease_s=shared.timings.lease_s,
        grace_s=shared.timings.grace_s,
        heartbeat_s=shared.timings.heartbeat_s,
        server_id=shared.database.server_id,
        queued=tx.connection.execute(_QUEUED).scalar_one(),
        runs=found,
        wanted=wanted_state.for_beat(shared, tx, request),
        features=list(Feature),
    )


# Who it is


def _admitted(shared: SharedState, tx: Transaction, request: HeartbeatRequest) -> Known:
    known = shared.roster.get(request.worker_id)
    if known is None:
        return _new(shared, request)
    if known.instance_id not in (None, request.instance_id):
        refuse_while_live(shared, tx, known)
        return _new(shared, request)
    epoch, last = request.epoch, known.epoch
    if last is not None and epoch is not None and epoch < last:
        raise Refused(
            409, ErrorCode.EPOCH, f"worker {known.worker_id} was started again since (epoch {last}): this process ends"
        )
    if known.instance_id != request.instance_id or (epoch is not None and epoch != last):
        _taken_over(shared, tx, known, request)
    return known


def _new(shared: SharedState, request: HeartbeatRequest) -> Known:
    known = Known(
        worker_id=request.worker_id,
        report=request,
        instance_id=request.instance_id,
        epoch=request.epoch,
        last_seen=shared.server_time.boot(),
        seen_at=shared.server_time.shown(),
    )
    shared.roster.put(known)
    return known


def refuse_while_live(shared: SharedState, tx: Transaction, known: Known) -> None:
    """Another instance waits until this one has been silent so long that its runs have gone back."""
    silent = shared.server_time.boot() - known.last_seen
    away = known.away_until is not None and known.away_until > shared.server_time.due()
    if silent > shared.timings.eviction_s and not away and not held_attempts(tx.connection, [known.worker_id]):
        return
    host = known.report.hostname or "an unnamed host"
    raise Refused(
        409,
        ErrorCode.INSTANCE_LIVE,
        f"worker {known.worker_id} is held by another process, on {host}, last heard of {silent:.0f} s ago",
    )


def _taken_over(shared: SharedState, tx: Transaction, known: Known, request: HeartbeatRequest) -> None:
    """The same state directory was started again (or a worker without instance has got one)."""
    known.instance_id, known.epoch = request.instance_id, request.epoch
    known.away_until, known.nudge, known.slots_told, known.beat = None, False, None, None
    _end_pauses(shared, tx, known.worker_id)
    earlier = [c for c in shared.claims.open(known.worker_id) if c.request.epoch != request.epoch]
    tx.after_commit(lambda: shared.claims.answer_empty(earlier))


# What it says of itself


def _is_late(known: Known, request: HeartbeatRequest) -> bool:
    """Whether a beat that was sent later has been taken already."""
    if request.beat is None or known.beat is None or request.beat >= known.beat:
        known.beat = request.beat
        return False
    return True


def _remember(shared: SharedState, tx: Transaction, known: Known, request: HeartbeatRequest) -> None:
    """Keep the beat in memory; write a row only when something in it is new."""
    was_live = shared.roster.live(known, shared.server_time.boot())
    known.last_seen, known.seen_at = shared.server_time.boot(), shared.server_time.shown()
    known.nudge = False
    known.lists = request.instance_id is not None or "running_ops" in request.model_fields_set
    known.running = request.running_ops
    if request.free_slots != known.free_slots:
        known.free_slots, known.slots_told = request.free_slots, None
    away = None
    if request.state is WorkerState.AWAY and request.away_s is not None:
        away = shared.server_time.due() + int(request.away_s * 1e6)
    report = request.model_copy(update={"running_ops": [], "beat": None, "free_slots": None})
    # an away that goes on is not a change; one that begins anew, or ends, is
    changed = _kept(report) != _kept(known.report) or (away is None) != (known.away_until is None)
    changed = changed or not known.beaten
    if _grew(known.report, report):
        _end_pauses(shared, tx, known.worker_id)
    if changed:
        known.report, known.free = report, None
    known.away_until = away
    known.beaten = True
    if changed or not was_live:
        shared.work_changed = True
    if changed or away is not None:
        _store(tx, known)


def _grew(before: HeartbeatRequest, now: HeartbeatRequest) -> bool:
    """Whether a backend or a GPU is back, so that what this worker gave back for want of it may come again."""
    gpus_before, gpus_now = ({gpu.id for gpu in report.resources.gpus} for report in (before, now))
    return not (set(now.backends) <= set(before.backends) and gpus_now <= gpus_before)


def _end_pauses(shared: SharedState, tx: Transaction, worker_id: str) -> None:
    tx.connection.execute(schema.pauses.delete().where(schema.pauses.c.worker_id == worker_id))
    shared.work_changed = True


def _kept(report: HeartbeatRequest) -> dict[str, Any]:
    return report.model_dump(exclude=CHANGING)


def _store(tx: Transaction, known: Known) -> None:
    table = schema.workers
    body = known.report.model_dump_json(exclude_none=True, exclude={"running_ops"})
    tx.connection.execute(table.delete().where(table.c.worker_id == known.worker_id))
    tx.connection.execute(
        table.insert().values(
            worker_id=known.worker_id,
            instance_id=known.instance_id,
            epoch=known.epoch,
            state=known.report.state,
            body=body,
            away_until=known.away_until,
            last_seen=known.seen_at,
        )
    )


def takes_some(known: Known, claim: OpenClaim) -> bool:
    """Whether the worker takes what the claim asks for: while it drains, only what its own runs wait for."""
    state = known.report.state
    return state is WorkerState.CLAIMING or (state is WorkerState.DRAINING and claim.request.children is Children.MINE)


def wants_more(known: Known, claim: OpenClaim) -> bool:
    """Whether more is free than the claim asks for; said once for each number of slots."""
    slots = known.free_slots
    if slots is None or slots <= claim.request.max or known.slots_told == slots or not takes_some(known, claim):
        return False
    known.slots_told = slots
    return True


def _answer_claims_early(shared: SharedState, tx: Transaction, known: Known) -> None:
    """Once per change: open claims that ask for less than is free now, or were opened in another state."""
    stale = [
        claim
        for claim in shared.claims.open(known.worker_id)
        if wants_more(known, claim) or claim.state is not known.report.state
    ]
    if stale:
        tx.after_commit(lambda: shared.claims.answer_empty(stale))


# What it no longer runs


def _miss(shared: SharedState, tx: Transaction, known: Known) -> None:
    """Look after the attempts that are counted for this worker and that its beat does not list."""
    now = shared.server_time.boot()
    held = held_attempts(tx.connection, [known.worker_id])
    keys = {one.key for one in held}
    known.heard = {key: at for key, at in known.heard.items() if key in keys}
    known.listed &= keys
    for one in held:
        at = known.heard.setdefault(one.key, now)
        if at == now:
            continue
        overdue = now - at > shared.timings.unlisted_s
        if over(one):
            if overdue or one.started or one.key in known.listed:
                RunChange(shared, tx, one.run_id).free(one.attempt)
        elif overdue:
            why = f"worker {known.worker_id} has not listed it for {shared.timings.unlisted_s:.0f} s"
            eviction.lose(RunChange(shared, tx, one.run_id), why)


def over(held: Held) -> bool:
    """Whether the attempt has ended for the server and only its resources are still counted."""
    return not held.current or held.run_state not in OWNED


def put_back(shared: SharedState, tx: Transaction, worker_id: str, why: str) -> int:
    """All that is counted for this worker goes back; how many."""
    held = held_attempts(tx.connection, [worker_id])
    for one in held:
        run = RunChange(shared, tx, one.run_id)
        if over(one):
            run.free(one.attempt)
        else:
            eviction.lose(run, why)
    return len(held)


def good_bye(shared: SharedState, tx: Transaction, worker_id: str, instance_id: str | None) -> None:
    """By its own instance at any time; by anybody once it is silent."""
    known = shared.roster.get(worker_id)
    if known is None:
        raise worker_unknown(worker_id)
    if (
        known.instance_id is not None
        and instance_id != known.instance_id
        and shared.roster.live(known, shared.server_time.boot())
    ):
        refuse_while_live(shared, tx, known)
    put_back(shared, tx, worker_id, f"worker {worker_id} said good-bye")
    _end_pauses(shared, tx, worker_id)
    wanted_state.at_good_bye(shared, tx, known)
    tx.connection.execute(schema.workers.delete().where(schema.workers.c.worker_id == worker_id))
    shared.roster.drop(worker_id)
    tx.after_commit(lambda: shared.claims.answer_empty(shared.claims.open(worker_id)))
