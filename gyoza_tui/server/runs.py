"""Reading runs, and why they wait."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from gyoza_tui.models.runs import OpRun
from gyoza_tui.server import rows
from gyoza_tui.server.errors import run_unknown
from gyoza_tui.server.placements import Placements
from gyoza_tui.server.shared_state import SharedState


def one(shared: SharedState, connection: Connection, run_id: str, *, events: bool) -> OpRun:
    """The run, and why it waits, for which every worker is looked at."""
    run = _existing(connection, run_id)
    try:
        return rows.whole_run(connection, run, events=events, placement=Placements(shared, connection).of(run))
    except rows.DAMAGED as error:
        return rows.damaged_run(run, error)


def changed(connection: Connection, run_id: str) -> OpRun:
    """The run as the answer to what created or changed it: without its placement."""
    return rows.whole_run(connection, _existing(connection, run_id), events=True, placement=None)


def _existing(connection: Connection, run_id: str) -> Row[Any]:
    run = rows.run_row(connection, run_id)
    if run is None:
        raise run_unknown(run_id)
    return run
