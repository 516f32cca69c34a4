"""The state that people want each worker to be in. It is kept by the worker's name, whatever becomes of the worker."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.workers import (
    Feature,
    HeartbeatRequest,
    Wanted,
    WantedAnswer,
    WantedReport,
    WantedView,
    WantedWorkerState,
    WorkerState,
)
from gyoza_tui.server import schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.roster import Known
from gyoza_tui.server.rows import DAMAGED
from gyoza_tui.server.server_time import to_utc
from gyoza_tui.server.shared_state import SharedState

_LOG = logging.getLogger(__name__)

# built once: to build a statement takes longer than to execute it
_ALL = select(schema.wanted)
_ONE = _ALL.where(schema.wanted.c.worker_id == bindparam("worker_id"))


def of_worker(connection: Connection, worker_id: str) -> Wanted | None:
    row = connection.execute(_ONE, {"worker_id": worker_id}).one_or_none()
    return None if row is None else _wanted(row)


def of_all(connection: Connection) -> dict[str, Wanted]:
    """By the worker's name."""
    found = {row.worker_id: _wanted(row) for row in connection.execute(_ALL)}
    return {worker_id: wanted for worker_id, wanted in found.items() if wanted is not None}


def view(wanted: Wanted | None, report: WantedReport | None) -> WantedView | None:
    """With what the worker has reported of it."""
    if wanted is None:
        return None
    return WantedView(**dict(wanted), answer=_answer(wanted, report))


def want(shared: SharedState, tx: Transaction, worker_id: str, state: WantedWorkerState, by: str) -> Wanted:
    """Keep it, and have the worker beat soon. Refused for a name that no worker has had, and for a worker that would
    do nothing about it."""
    known = shared.roster.get(worker_id)
    if known is None and of_worker(tx.connection, worker_id) is None:
        raise Refused(404, ErrorCode.WORKER_UNKNOWN, f"there is no worker {worker_id[:80]!a}")
    if known is not None and Feature.WANTED_STATE not in known.report.features:
        version = known.report.version or "unknown"
        words = f"worker {worker_id} (version {version}) cannot be paused, drained or resumed by the server"
        raise Refused(409, ErrorCode.INVALID, f"{words}: upgrade it, or do it there")
    shared.nudge(tx, worker_id)
    return _keep(shared, tx, worker_id, state, by)


def for_beat(shared: SharedState, tx: Transaction, request: HeartbeatRequest) -> Wanted | None:
    """What this beat is answered."""
    if Feature.WANTED_STATE not in request.features:
        return None
    wanted = of_worker(tx.connection, request.worker_id)
    if wanted is not None and _answer(wanted, request.wanted) is WantedAnswer.DRAINED:
        return _after_drain(shared, tx, request.worker_id, wanted)
    return wanted


def at_good_bye(shared: SharedState, tx: Transaction, known: Known) -> None:
    """A drain that was wanted is over, unless the worker has overridden it."""
    wanted = of_worker(tx.connection, known.worker_id)
    if wanted is not None and _answer(wanted, known.report.wanted) is not WantedAnswer.OVERRIDDEN:
        _after_drain(shared, tx, known.worker_id, wanted)


def _answer(wanted: Wanted, report: WantedReport | None) -> WantedAnswer | None:
    return report.answer if report is not None and report.seq == wanted.seq else None


def _after_drain(shared: SharedState, tx: Transaction, worker_id: str, wanted: Wanted) -> Wanted:
    """A worker that has been drained claims nothing once it is started again."""
    if wanted.state is not WorkerState.DRAINING:
        return wanted
    return _keep(shared, tx, worker_id, WorkerState.PAUSED, wanted.by)


def _keep(shared: SharedState, tx: Transaction, worker_id: str, state: WantedWorkerState, by: str) -> Wanted:
    before = of_worker(tx.connection, worker_id)
    seq = 1 if before is None else before.seq + 1
    since = shared.server_time.shown()
    table = schema.wanted
    tx.connection.execute(table.delete().where(table.c.worker_id == worker_id))
    tx.connection.execute(table.insert().values(worker_id=worker_id, state=state, seq=seq, asked_by=by, since=since))
    return Wanted(state=state, seq=seq, by=by, since=to_utc(since))


def _wanted(row: Row[Any]) -> Wanted | None:
    """None for a row that is damaged: no beat is to fail by it."""
    try:
        return Wanted(state=row.state, seq=row.seq, by=row.asked_by, since=to_utc(row.since))
    except DAMAGED:
        _LOG.warning("the wanted state of worker %s is damaged: none is wanted", row.worker_id)
        return None
