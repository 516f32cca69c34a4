"""Runs whose engine was restarted under them: which of them is charged, and how their next attempts start.

One run can end its engine, and with it every other run there. Which one it was cannot be seen when they end together:
then none is charged, and each starts its next attempt alone. One that ends its engine again while it is alone, next to
runs that have been alone themselves, is charged.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, bindparam, func, select, union_all

from gyoza_tui.models.states import Cause, RunState
from gyoza_tui.server import retries, schema
from gyoza_tui.server.room import Need, is_alone
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.server_time import Micros

TOGETHER_S: Final = 15.0
ALONE_S: Final = 60
ALONE_S_MAX: Final = 24 * 3600

_attempts: Final = schema.attempts.c
_ON_BACKEND: Final = (
    select(_attempts.started_at, _attempts.alone_s, _attempts.restarted_at)
    .join(schema.runs, schema.runs.c.id == _attempts.run_id)
    .where(
        _attempts.run_id != bindparam("run"),
        schema.backend_of(schema.runs.c.need) == bindparam("backend"),
    )
)
# as one condition with OR, or by the index of workers, it would read every attempt that the worker ever had
_OTHERS: Final = union_all(
    _ON_BACKEND.where(
        _attempts.held,
        func.coalesce(_attempts.worker_id, "") == bindparam("worker"),
        _attempts.state == RunState.RUNNING,
    ),
    _ON_BACKEND.where(_attempts.worker_id == bindparam("worker"), _attempts.restarted_at > bindparam("since")),
)


def retry(run: RunChange, ended: Row[Any], why: str | None) -> None:
    """The attempt after `ended`, which is the row of the current attempt from before its end."""
    now = run.shared.server_time.due()
    on_trial = is_alone(ended.started_at, ended.alone_s, now)
    together = [other for other in _others(run, ended, now) if not (on_trial and _proven(other, now))]
    run.set_attempt(ended.attempt, restarted_at=now)
    if not together:
        retries.by_infra(run, Cause.RETRY, ended.worker_id, why, alone_s=max(ended.alone_s, ALONE_S))
        return
    # one that ends its engine later than it was alone is found by being alone for longer
    alone_s = ended.alone_s if on_trial else min(max(2 * ended.alone_s, ALONE_S), ALONE_S_MAX)
    words = "; ".join(filter(None, (why, "other runs ended with it, none is charged")))
    retries.without_charge(run, ended.worker_id, words, alone_s=alone_s)


def _others(run: RunChange, ended: Row[Any], now: Micros) -> list[Row[Any]]:
    """What ran on that backend of that worker, or ended there in the same way just before."""
    asked = {
        "worker": ended.worker_id,
        "run": run.run.id,
        "backend": Need.loads(run.run.need).backend,
        "since": now - int(TOGETHER_S * 1e6),
    }
    return list(run.tx.connection.execute(_OTHERS, asked))


def _proven(other: Row[Any], now: Micros) -> bool:
    """Whether it has been alone for its time without ending its engine."""
    until = now if other.restarted_at is None else other.restarted_at
    return other.alone_s > 0 and not is_alone(other.started_at, other.alone_s, until)
