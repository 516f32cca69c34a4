"""Claims on a transaction: opening one, and giving the waiting runs to those that are open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from sqlalchemy import and_, bindparam, or_, select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.server import assignment, schema
from gyoza_tui.server.claims import OpenClaim
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, worker_unknown
from gyoza_tui.server.hub import Hub
from gyoza_tui.server.roster import Known, held_attempts
from gyoza_tui.server.rows import run_of
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.scheduler import Match, Need, Offer, Waiting, match
from gyoza_tui.server.workers import over, refuse_while_live

_PAGE = 64

# built once: to build a statement takes longer than to execute it
_RUNS: Final = schema.runs.c
_PENDING: Final = _RUNS.state == RunState.PENDING
_NEEDS: Final = select(_RUNS.need).where(_PENDING).distinct()
_HELD: Final = select(schema.attempts.c.run_id).where(schema.attempts.c.run_id == _RUNS.id, schema.attempts.c.held)
_QUEUE: Final = (
    select(_RUNS.id, _RUNS.priority, _RUNS.seq, _RUNS.avoid_worker, _RUNS.alone_s)
    .where(_PENDING, _RUNS.need == bindparam("need"), ~_HELD.exists())
    .where(or_(_RUNS.not_before.is_(None), _RUNS.not_before <= bindparam("due")))
    .order_by(_RUNS.priority.desc(), _RUNS.seq)
    .limit(_PAGE)
)
_QUEUE_BEHIND: Final = _QUEUE.where(
    or_(
        _RUNS.priority < bindparam("priority"),
        and_(_RUNS.priority == bindparam("priority"), _RUNS.seq > bindparam("seq")),
    )
)
_PAUSES: Final = select(schema.pauses).where(schema.pauses.c.until > bindparam("due"))


def open_claim(hub: Hub, tx: Transaction, claim: OpenClaim) -> None:
    """Answer it at once (a lost answer again, or empty: beat, then claim), or let it wait for the scheduler."""
    known = _claimant(hub, tx, claim)
    runs = _lost_answers(hub, tx, known, claim)
    if runs:
        tx.after_commit(lambda: claim.answer(runs) if claim.end() else None)
    elif _wants_beat(known, claim):
        tx.after_commit(lambda: hub.claims.answer_empty([claim]))
    else:
        claim.state = known.report.state
        # before the commit, so that the scheduler's turn in this transaction finds it
        hub.claims.add(claim)
        hub.work_changed = True


def _claimant(hub: Hub, tx: Transaction, claim: OpenClaim) -> Known:
    known, request = hub.roster.get(claim.worker_id), claim.request
    if known is None:
        raise worker_unknown(claim.worker_id)
    if known.instance_id is None:
        return known
    if request.instance_id != known.instance_id:
        refuse_while_live(hub, tx, known)
        raise worker_unknown(claim.worker_id)
    if request.epoch is not None and known.epoch is not None:
        if request.epoch < known.epoch:
            raise Refused(409, ErrorCode.EPOCH, f"worker {known.worker_id} was started again since: this process ends")
        if request.epoch > known.epoch:
            raise worker_unknown(claim.worker_id)
    return known


def _lost_answers(hub: Hub, tx: Transaction, known: Known, claim: OpenClaim) -> list[OpRun]:
    """What was assigned and is not in `have`. A worker that does not say what it has is not asked twice."""
    request = claim.request
    if "have" not in request.model_fields_set:
        return []
    have = {(one.id, one.attempt) for one in request.have}
    repeated = []
    for held in held_attempts(tx.connection, [known.worker_id]):
        if (held.run_id, held.attempt) in have:
            continue
        run = RunChange(hub, tx, held.run_id)
        if over(held):
            # its answer never arrived, and now it is not wanted any more
            if not held.started and held.key not in known.listed:
                run.free(held.attempt)
        elif not held.started and (request.only is None or held.run_id in request.only):
            repeated.append(run_of(run.run, run.attempt, for_worker=True))
    return repeated


def _wants_beat(known: Known, claim: OpenClaim) -> bool:
    """Whether something changed that only a beat tells; said once."""
    if known.nudge:
        known.nudge = False
        return True
    slots = known.free_slots
    claiming = known.report.state is WorkerState.CLAIMING
    if claiming and slots is not None and slots > claim.request.max and known.slots_told != slots:
        known.slots_told = slots
        return True
    return False


def give_out(hub: Hub, tx: Transaction) -> None:
    """Match all open claims with the waiting runs. The last act of every transaction that may have changed either."""
    if not hub.work_changed:
        return
    hub.work_changed = False
    claims = {claim.key: claim for claim in hub.claims.open() if claim.request.max > 0}
    if not claims:
        return
    rooms = hub.roster.rooms(tx.connection, hub.moments)
    offers = [
        Offer(key, rooms[c.worker_id], c.request.max, None if c.request.only is None else frozenset(c.request.only))
        for key, c in claims.items()
        if c.worker_id in rooms and rooms[c.worker_id].takes_work
    ]
    if offers and (matches := match(_queues(hub, tx, offers), offers, rooms.values())):
        with tx.part():
            _assign(hub, tx, claims, matches)


def _assign(hub: Hub, tx: Transaction, claims: dict[int, OpenClaim], matches: list[Match]) -> None:
    answers: dict[int, list[OpRun]] = {}
    for one in matches:
        claim = claims[one.key]
        if one.key not in answers:
            # the last look: a client that hung up, or whose time is over, gets nothing
            if not claim.end():
                hub.work_changed = True
                continue
            answers[one.key] = []
        known = hub.roster.get(claim.worker_id)
        if known is None:
            continue
        run = RunChange(hub, tx, one.run_id)
        assignment.assign(run, known.worker_id, known.instance_id, one.constraints)
        known.heard[(one.run_id, run.attempt.attempt, run.attempt.lease)] = hub.moments.boot()
        answers[one.key].append(run_of(run.run, run.attempt, for_worker=True))
    for key, runs in answers.items():
        claims[key].answer_after(tx, runs)


def _queues(hub: Hub, tx: Transaction, offers: list[Offer]) -> dict[Need, Iterator[Waiting]]:
    """The waiting runs of each need that some offer has room for."""
    needs = {text: Need.loads(text) for text in tx.connection.execute(_NEEDS).scalars()}
    paused = _paused(hub, tx)
    return {
        need: _queue(hub, tx, text, paused)
        for text, need in needs.items()
        if any(offer.room.fits(need) for offer in offers)
    }


def _queue(hub: Hub, tx: Transaction, need: str, paused: dict[str, set[str]]) -> Iterator[Waiting]:
    """By priority, then age, read in pages: most of a long queue is never looked at."""
    asked = {"need": need, "due": hub.moments.due()}
    page = tx.connection.execute(_QUEUE, asked).all()
    while page:
        for row in page:
            rank, given_back_by = (-row.priority, row.seq), frozenset(paused.get(row.id, ()))
            yield Waiting(row.id, rank, given_back_by, row.avoid_worker, alone=row.alone_s > 0)
        last = page[-1]
        page = tx.connection.execute(_QUEUE_BEHIND, asked | {"priority": last.priority, "seq": last.seq}).all()


def _paused(hub: Hub, tx: Transaction) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in tx.connection.execute(_PAUSES, {"due": hub.moments.due()}):
        found[row.run_id].add(row.worker_id)
    return found
