"""Passing on to the children of a run what its end or its new priority means for them, a few at a time."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from gyoza_tui.models.states import TERMINAL, RunState
from gyoza_tui.server import children, run_ends, schema
from gyoza_tui.server.children import Matter
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.rows import DAMAGED
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.shared_state import SharedState

STEP: Final = 100
"""Runs that one transaction looks at: beats and claims wait for no more."""
_LOG = logging.getLogger(__name__)

# built once: to build a statement takes longer than to execute it
_RUNS: Final = schema.runs.c
_CASCADES: Final = schema.cascades.c
_FIRST: Final = (
    select(schema.cascades, _RUNS.state, _RUNS.priority)
    .join(schema.runs, _RUNS.id == _CASCADES.run_id)
    .order_by(schema.cascades.c.run_id)
    .limit(1)
)
_OF_PARENT: Final = (_RUNS.parent_id == bindparam("the_parent"), _RUNS.seq > bindparam("after"))
_NEXT: Final = (
    select(_RUNS.id, _RUNS.seq, _RUNS.state, _RUNS.children, _RUNS.detached)
    .where(*_OF_PARENT)
    .order_by(_RUNS.seq)
    .limit(bindparam("most"))
)
_SET_PRIORITY: Final = schema.runs.update().where(*_OF_PARENT, _RUNS.seq <= bindparam("last"))
_GO_ON: Final = (
    schema.cascades.update()
    .where(_CASCADES.run_id == bindparam("the_run"), _CASCADES.matter == bindparam("the_matter"))
    .values(after_seq=bindparam("last"))
)


def step(shared: SharedState, tx: Transaction) -> bool:
    """Pass on what is due to the next runs; whether there may be more."""
    left = STEP
    while left > 0:
        cascade = tx.connection.execute(_FIRST).first()
        if cascade is None:
            return False
        left -= max(1, _to_next(shared, tx, cascade, left))
    return True


def _to_next(shared: SharedState, tx: Transaction, cascade: Row[Any], most: int) -> int:
    """To how many at most; how many there were."""
    asked = {"the_parent": cascade.run_id, "after": cascade.after_seq, "most": most}
    found: Sequence[Any] = tx.connection.execute(_NEXT, asked).all()
    if found and cascade.matter == Matter.PRIORITY:
        _follow(shared, tx, cascade, found)
    elif found:
        _cancel(shared, tx, cascade, found)
    if len(found) < most:
        children.stop(tx.connection, cascade.run_id, cascade.matter)
    else:
        at = {"the_run": cascade.run_id, "the_matter": cascade.matter, "last": found[-1].seq}
        tx.connection.execute(_GO_ON, at)
    return len(found)


def _follow(shared: SharedState, tx: Transaction, cascade: Row[Any], found: Sequence[Any]) -> None:
    span = {"the_parent": cascade.run_id, "after": cascade.after_seq, "last": found[-1].seq}
    tx.connection.execute(_SET_PRIORITY, span | {"priority": cascade.priority})
    for child in found:
        if child.children:
            children.pass_on(tx.connection, child.id, Matter.PRIORITY)
    shared.work_changed = True


def _cancel(shared: SharedState, tx: Transaction, cascade: Row[Any], found: Sequence[Any]) -> None:
    """Also what is below children that have completed: it belongs to the family that ends."""
    reason = _reason(cascade)
    for child in found:
        if child.detached:
            continue
        if child.state == RunState.COMPLETED and child.children:
            children.pass_on(tx.connection, child.id, Matter.END)
        elif child.state not in TERMINAL:
            try:
                with tx.part():
                    run_ends.cancel(RunChange(shared, tx, child.id), reason)
            except DAMAGED as error:
                _LOG.error("run %s is damaged, it is not cancelled with its parent: %s", child.id, error)


def _reason(cascade: Row[Any]) -> str:
    match cascade.state:
        case RunState.CANCELLED:
            return f"its parent {cascade.run_id} was cancelled"
        case RunState.FAILED:
            return f"its parent {cascade.run_id} failed"
        case _:
            return f"a run above its parent {cascade.run_id} was cancelled or failed"
