"""Why each pending run waits."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.states import RunState
from gyoza_tui.server import children, rooms, schema
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.rows import attempt_row, constraints_of, run_row
from gyoza_tui.server.server_time import Micros
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.waiting_ancestors import WaitingAncestors
from gyoza_tui.server.why_waiting import Kind, Why, given_back, placement

_PARENT_MAY_WAIT_S: Final = 30.0
"""A run that waits for its children soon does so."""

# built once: to build a statement takes longer than to execute it
_HOLDER = select(schema.attempts.c.worker_id).where(schema.attempts.c.run_id == bindparam("run_id"), schema.HELD_OF_RUN)
_NEVER_BY = select(schema.pauses.c.worker_id).where(
    schema.pauses.c.run_id == bindparam("run_id"), schema.pauses.c.final
)


class Placements:
    """Why runs wait; the workers are looked at once for all of them."""

    def __init__(self, shared: SharedState, connection: Connection) -> None:
        self._shared = shared
        self._connection = connection
        self._ancestors = WaitingAncestors(connection)
        self._whys: dict[tuple[str, bool, frozenset[str]], Why | None] = {}
        self._parents_in_the_way: dict[tuple[str, str], bool] = {}
        self._free: dict[str, Room] | None = None
        self._whole: list[Room] | None = None
        self._due: Micros = shared.server_time.due()

    def of(self, run: Row[Any]) -> str | None:
        if run.state != RunState.PENDING:
            return None
        if run.held_by is not None:
            return f"held by {run.held_by} until the hold is ended"
        if run.after_children:
            at_work = children.at_work(self._connection, run.id)
            return f"waits for its children to end ({at_work} at work): they need the memory that it held"
        if run.not_before is not None and run.not_before > self._due:
            return f"waits {max(1, round((run.not_before - self._due) / 1e6))} s before its next attempt"
        if (holder := self._holder(run.id)) is not None:
            return f"waits until worker {holder} has let its last attempt go"
        if (reserved := self._shared.reservations.worker_of(run.id)) is not None:
            return f"worker {reserved} is reserved for it: waits until enough of the runs there have ended"
        words = self._for_room(run)
        if not run.given_back:
            return words
        never = set(self._connection.execute(_NEVER_BY, {"run_id": run.id}).scalars())
        return given_back(Need.loads(run.need), run.given_back, run.given_back_why, never, self._totals(), words)

    def _for_room(self, run: Row[Any]) -> str | None:
        why = self._why(run)
        if why is not None and why.kind is Kind.NO_ROOM and self._is_in_the_way_of(run):
            return "its parent holds the slot and does not wait"
        return None if why is None else why.words

    def _why(self, run: Row[Any]) -> Why | None:
        own = self._ancestors.workers(run.parent_id)
        key = run.need, run.alone_s > 0, own
        if key not in self._whys:
            free = [_open_to_children(room) if room.worker_id in own else room for room in self._rooms().values()]
            self._whys[key] = placement(Need.loads(run.need), free, self._totals(), alone=run.alone_s > 0)
        return self._whys[key]

    def _is_in_the_way_of(self, child: Row[Any]) -> bool:
        """Whether its parent has had time to wait, and there would be room for it if the parent did."""
        waited_s = (self._shared.server_time.shown() - child.updated_at) / 1e6
        if child.parent_id is None or waited_s < _PARENT_MAY_WAIT_S:
            return False
        key = child.parent_id, child.need
        if key not in self._parents_in_the_way:
            self._parents_in_the_way[key] = self._would_make_room(*key)
        return self._parents_in_the_way[key]

    def _would_make_room(self, parent_id: str, need: str) -> bool:
        run = run_row(self._connection, parent_id)
        attempt = None if run is None else attempt_row(self._connection, parent_id, run.current_attempt)
        if run is None or attempt is None or run.state != RunState.RUNNING or attempt.waiting_since is not None:
            return False
        room = self._rooms().get(attempt.worker_id)
        if room is None:
            return False
        room = room.copy()
        room.slots += 1
        room.cpu_tenths += constraints_of(attempt).cpu_tenths
        return room.fits(Need.loads(need), child=True)

    def _rooms(self) -> dict[str, Room]:
        if self._free is None:
            self._free = rooms.all_rooms(self._shared.roster, self._connection, self._shared.server_time)
        return self._free

    def _totals(self) -> list[Room]:
        if self._whole is None:
            self._whole = rooms.whole_rooms(self._shared.roster, self._shared.server_time)
        return self._whole

    def _holder(self, run_id: str) -> str | None:
        """Who has not yet released an earlier attempt; until then no other is handed out."""
        worker_id: str | None = self._connection.execute(_HOLDER, {"run_id": run_id}).scalar()
        return worker_id


def _open_to_children(room: Room) -> Room:
    """As a child of a run that waits there sees it: a draining worker takes it."""
    room = room.copy()
    room.takes_work = room.takes_children
    return room
