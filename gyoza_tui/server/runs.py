"""Reading runs, and why they wait."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.server import rooms, rows, schema
from gyoza_tui.server.errors import run_unknown
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.server_time import Micros
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.why_waiting import given_back, placement

# built once: to build a statement takes longer than to execute it
_HOLDER = select(schema.attempts.c.worker_id).where(
    schema.attempts.c.run_id == bindparam("run_id"), schema.attempts.c.held
)
_NEVER_BY = select(schema.pauses.c.worker_id).where(
    schema.pauses.c.run_id == bindparam("run_id"), schema.pauses.c.final
)


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


class Placements:
    """Why runs wait; the workers are looked at once for all of them."""

    def __init__(self, shared: SharedState, connection: Connection) -> None:
        self._shared = shared
        self._connection = connection
        self._words: dict[tuple[str, bool], str | None] = {}
        self._whole: list[Room] | None = None
        self._due: Micros = shared.server_time.due()

    def of(self, run: Row[Any]) -> str | None:
        if run.state != RunState.PENDING:
            return None
        if run.held_by is not None:
            return f"held by {run.held_by} until the hold is ended"
        if run.not_before is not None and run.not_before > self._due:
            return f"waits {max(1, round((run.not_before - self._due) / 1e6))} s before its next attempt"
        if (holder := self._holder(run.id)) is not None:
            return f"waits until worker {holder} has let its last attempt go"
        if (reserved := self._shared.reservations.worker_of(run.id)) is not None:
            return f"worker {reserved} is reserved for it: waits until enough of the runs there have ended"
        key = run.need, run.alone_s > 0
        if key not in self._words:
            free = rooms.all_rooms(self._shared.roster, self._connection, self._shared.server_time).values()
            why = placement(Need.loads(run.need), free, self._totals(), alone=run.alone_s > 0)
            self._words[key] = None if why is None else why.words
        if not run.given_back:
            return self._words[key]
        never = set(self._connection.execute(_NEVER_BY, {"run_id": run.id}).scalars())
        need = Need.loads(run.need)
        return given_back(need, run.given_back, run.given_back_why, never, self._totals(), self._words[key])

    def _totals(self) -> list[Room]:
        if self._whole is None:
            self._whole = rooms.whole_rooms(self._shared.roster, self._shared.server_time)
        return self._whole

    def _holder(self, run_id: str) -> str | None:
        """Who has not yet released an earlier attempt; until then no other is handed out."""
        worker_id: str | None = self._connection.execute(_HOLDER, {"run_id": run_id}).scalar()
        return worker_id
