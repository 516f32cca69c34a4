"""Claims on a transaction: opening one, and giving the waiting runs to those that are open."""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, or_, select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.server import assignment, schema
from gyoza_tui.server.claims import OpenClaim
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, worker_unknown
from gyoza_tui.server.room import Need
from gyoza_tui.server.rooms import Rooms
from gyoza_tui.server.roster import Known, held_attempts
from gyoza_tui.server.rows import DAMAGED, run_of
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.scheduler import Match, Offer, PendingRun, Rank, match
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.workers import over, refuse_while_live

_PAGE = 64
_DAMAGED_AGAIN: Final = 3600 * 1_000_000
_LOG = logging.getLogger(__name__)

# built once: to build a statement takes longer than to execute it
_RUNS: Final = schema.runs.c
_HELD: Final = select(schema.attempts.c.run_id).where(schema.attempts.c.run_id == _RUNS.id, schema.attempts.c.held)
_DUE: Final = and_(
    schema.PLACEABLE,
    ~_HELD.exists(),
    or_(_RUNS.not_before.is_(None), _RUNS.not_before <= bindparam("due")),
)
_WAITING: Final = (_RUNS.id, _RUNS.priority, _RUNS.depth, _RUNS.seq, _RUNS.avoid_worker, _RUNS.alone_s)
_RANK: Final = (_RUNS.priority.desc(), _RUNS.depth.desc(), _RUNS.seq)
_FIRST: Final = (
    select(_RUNS.seq)
    .where(_RUNS.need == schema.queued.c.need, _DUE)
    .order_by(*_RANK)
    .limit(1)
    .correlate(schema.queued)
    .scalar_subquery()
)
_head: Final = schema.runs.alias("head")
_HEADS: Final = select(schema.queued.c.need, *(_head.c[column.name] for column in _WAITING)).join_from(
    schema.queued, _head, _head.c.seq == _FIRST
)
_BEHIND: Final = (
    select(*_WAITING)
    .where(_RUNS.need == bindparam("need"), _DUE)
    .where(
        or_(
            _RUNS.priority < bindparam("priority"),
            and_(_RUNS.priority == bindparam("priority"), _RUNS.depth < bindparam("depth")),
            and_(
                _RUNS.priority == bindparam("priority"),
                _RUNS.depth == bindparam("depth"),
                _RUNS.seq > bindparam("seq"),
            ),
        )
    )
)
_PAGE_BEHIND: Final = _BEHIND.order_by(*_RANK).limit(_PAGE)
_NAMED_BEHIND: Final = _BEHIND.where(_RUNS.id.in_(bindparam("named", expanding=True)))
_PAUSES: Final = select(schema.pauses).where(schema.pauses.c.until > bindparam("due"))


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


def give_out(shared: SharedState, tx: Transaction) -> None:
    """Match all open claims with the waiting runs. The last act of every transaction that may have changed either."""
    if not shared.work_changed:
        return
    shared.work_changed = False
    claims = {claim.key: claim for claim in shared.claims.open() if claim.request.max > 0}
    if not claims:
        return
    heads = {head.need: head for head in tx.connection.execute(_HEADS, {"due": shared.server_time.due()})}
    needs = _readable(heads)
    rooms = Rooms(shared.roster, tx.connection, shared.server_time)
    paused, now = _paused(shared, tx), shared.server_time.boot()
    firsts = [(_waiting(heads[text], paused), need) for text, need in needs.items()]
    if shared.reservations.due(now):
        shared.reservations.reserve(firsts, rooms, now)
    fitting = rooms.fitting(needs, {claim.worker_id for claim in claims.values()})
    offers = [
        Offer(key, rooms[c.worker_id], c.request.max, None if c.request.only is None else frozenset(c.request.only))
        for key, c in claims.items()
        if fitting.get(c.worker_id)
    ]
    if not offers:
        return
    queues = {needs[text]: _queue(shared, tx, heads[text], offers, paused) for text in set().union(*fitting.values())}
    if matches := match(queues, offers, rooms, shared.reservations.of(firsts)):
        unnamed = [one.rank for one in matches if claims[one.key].request.only is None]
        shared.reservations.note((run for run, _ in firsts), unnamed, {one.run_id for one in matches}, now)
        with tx.part():
            _assign(shared, tx, claims, matches)


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


def _readable(texts: Iterable[str]) -> dict[str, Need]:
    """What a damaged run needs is not known, and it waits."""
    found = {}
    for text in texts:
        with contextlib.suppress(*DAMAGED):
            found[text] = Need.loads(text)
    return found


def _queue(
    shared: SharedState, tx: Transaction, head: Row[Any], offers: list[Offer], paused: dict[str, set[str]]
) -> Iterator[PendingRun]:
    """The waiting runs of one need by priority, then age, read in pages: most of a long queue is never looked at."""
    need, due = Need.loads(head.need), shared.server_time.due()
    page: Sequence[Row[Any]] = [head]
    while page:
        for row in page:
            yield _waiting(row, paused)
        last = page[-1]
        asked = {"need": head.need, "due": due, "priority": last.priority, "depth": last.depth, "seq": last.seq}
        fitting = [offer for offer in offers if offer.slots > 0 and offer.room.fits(need)]
        if any(offer.only is None for offer in fitting):
            page = list(tx.connection.execute(_PAGE_BEHIND, asked))
        else:
            named = list(frozenset().union(*(offer.only for offer in fitting if offer.only)))
            page = sorted(tx.connection.execute(_NAMED_BEHIND, asked | {"named": named}), key=_rank)


def _waiting(row: Row[Any], paused: dict[str, set[str]]) -> PendingRun:
    given_back_by = frozenset(paused.get(row.id, ()))
    return PendingRun(row.id, _rank(row), given_back_by, row.avoid_worker, alone=row.alone_s > 0)


def _rank(row: Row[Any]) -> Rank:
    return -row.priority, -row.depth, row.seq


def _paused(shared: SharedState, tx: Transaction) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in tx.connection.execute(_PAUSES, {"due": shared.server_time.due()}):
        found[row.run_id].add(row.worker_id)
    return found
