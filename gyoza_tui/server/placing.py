"""Claims on a transaction: opening one, and giving the waiting runs to those that are open."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.server import assignment
from gyoza_tui.server.claims import OpenClaim
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, worker_unknown
from gyoza_tui.server.pending_queue import PendingQueue
from gyoza_tui.server.room import Room
from gyoza_tui.server.rooms import Rooms
from gyoza_tui.server.roster import Known, held_attempts
from gyoza_tui.server.rows import DAMAGED, run_of
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.scheduler import Match, Offer, match
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.workers import over, refuse_while_live, takes_some, wants_more

_DAMAGED_AGAIN: Final = 3600 * 1_000_000
_LOG = logging.getLogger(__name__)


def open_claim(shared: SharedState, tx: Transaction, claim: OpenClaim) -> None:
    """Answer it at once (a lost answer again, or empty: beat, then claim), or let it wait for the scheduler."""
    known = _claimant(shared, tx, claim)
    runs = _lost_answers(shared, tx, known, claim)
    if runs:
        tx.after_commit(lambda: claim.answer(runs) if claim.end() else None)
    elif _wants_beat(known, claim):
        tx.after_commit(lambda: shared.claims.answer_empty([claim]))
    else:
        claim.state = known.report.state
        # before the commit, so that the scheduler's turn in this transaction finds it
        shared.claims.add(claim)
        shared.work_changed = True


def _claimant(shared: SharedState, tx: Transaction, claim: OpenClaim) -> Known:
    known, request = shared.roster.get(claim.worker_id), claim.request
    if known is None:
        raise worker_unknown(claim.worker_id)
    if known.instance_id is None:
        return known
    if request.instance_id != known.instance_id:
        refuse_while_live(shared, tx, known)
        raise worker_unknown(claim.worker_id)
    if request.epoch is not None and known.epoch is not None:
        if request.epoch < known.epoch:
            raise Refused(409, ErrorCode.EPOCH, f"worker {known.worker_id} was started again since: this process ends")
        if request.epoch > known.epoch:
            raise worker_unknown(claim.worker_id)
    return known


def _lost_answers(shared: SharedState, tx: Transaction, known: Known, claim: OpenClaim) -> list[OpRun]:
    """What was assigned and is not in `have`. A worker that does not say what it has is not asked twice."""
    request = claim.request
    if "have" not in request.model_fields_set:
        return []
    have = {(one.id, one.attempt) for one in request.have}
    repeated = []
    for held in held_attempts(tx.connection, [known.worker_id]):
        if (held.run_id, held.attempt) in have:
            continue
        run = RunChange(shared, tx, held.run_id)
        if over(held):
            # its answer never arrived, and now it is not wanted any more
            if not held.started and held.key not in known.listed:
                run.free(held.attempt)
        elif not held.started and (request.only is None or request.children or held.run_id in request.only):
            repeated.append(run_of(run.run, run.attempt, for_worker=True))
    return repeated


def _wants_beat(known: Known, claim: OpenClaim) -> bool:
    """Whether something changed that only a beat tells; said once."""
    if known.nudge:
        known.nudge = False
        return True
    return wants_more(known, claim)


def give_out(shared: SharedState, tx: Transaction) -> None:
    """Match all open claims with the waiting runs. The last act of every transaction that may have changed either."""
    if not shared.work_changed:
        return
    shared.work_changed = False
    claims = {claim.key: claim for claim in shared.claims.open() if claim.request.max > 0 and _may_get(shared, claim)}
    if not claims:
        return
    now = shared.server_time.boot()
    queue = PendingQueue(tx.connection, shared.server_time.due())
    rooms = Rooms(shared.roster, tx.connection, shared.server_time)
    firsts = queue.firsts()
    if shared.reservations.due(now):
        shared.reservations.reserve(firsts, rooms, now)
    fitting = rooms.fitting(queue.needs, {claim.worker_id for claim in claims.values()})
    offers = [_offer(claim, rooms[claim.worker_id]) for claim in claims.values() if fitting.get(claim.worker_id)]
    if not offers:
        return
    queues = {queue.needs[text]: queue.of(text, offers) for text in set().union(*fitting.values())}
    if matches := match(queues, offers, rooms, shared.reservations.of(firsts)):
        in_turn = [one.rank for one in matches if one.in_turn]
        shared.reservations.note((run for run, _ in firsts), in_turn, {one.run_id for one in matches}, now)
        with tx.part():
            _assign(shared, tx, claims, matches)


def _may_get(shared: SharedState, claim: OpenClaim) -> bool:
    known = shared.roster.get(claim.worker_id)
    return known is not None and takes_some(known, claim)


def _offer(claim: OpenClaim, room: Room) -> Offer:
    request = claim.request
    only = None if request.only is None else frozenset(request.only)
    return Offer(claim.key, room, request.max, only, request.children)


def _assign(shared: SharedState, tx: Transaction, claims: dict[int, OpenClaim], matches: list[Match]) -> None:
    answers: dict[int, list[OpRun]] = {}
    for one in matches:
        claim = claims[one.key]
        if one.key not in answers:
            # the last look: a client that hung up, or whose time is over, gets nothing
            if not claim.end():
                shared.work_changed = True
                continue
            answers[one.key] = []
            # whatever fails from here on, it is answered
            tx.after_failure(partial(claim.answer, []))
        known = shared.roster.get(claim.worker_id)
        if known is None:
            continue
        run = RunChange(shared, tx, one.run_id)
        try:
            with tx.part():
                assignment.assign(run, known.worker_id, known.instance_id, one.constraints)
                handed = run_of(run.run, run.attempt, for_worker=True)
        except DAMAGED as error:
            _LOG.error("run %s is damaged, it is tried again in an hour: %s", one.run_id, error)
            RunChange(shared, tx, one.run_id).set_run(not_before=shared.server_time.due() + _DAMAGED_AGAIN)
            continue
        known.heard[(one.run_id, run.attempt.attempt, run.attempt.lease)] = shared.server_time.boot()
        answers[one.key].append(handed)
    for key, runs in answers.items():
        tx.after_commit(partial(claims[key].answer, runs))
