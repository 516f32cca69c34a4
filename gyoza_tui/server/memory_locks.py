"""Memory that runs hold while they wait for children which need it.

A run that waits gives up its slot, never its memory or its GPU. So the waiting runs of a worker can hold what their
children need, and nothing moves any more. Where that is so for some time, the youngest of them are given back.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, exists, func, select

from gyoza_tui.models.states import TERMINAL, EventType, RunState
from gyoza_tui.models.workers import Feature, Want
from gyoza_tui.server import rooms, schema, wishes
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.memory_holders import Holder, in_its_way
from gyoza_tui.server.pending_queue import DUE, RANK, readable
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.rows import dumps
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.waiting_ancestors import WaitingAncestors

LOCKED_S: Final = 30.0
"""After which runs are given back."""
_ASKER: Final = "the server"

# built once: to build a statement takes longer than to execute it
_RUNS, _ATTEMPTS = schema.runs.c, schema.attempts.c
_HOLDERS: Final = (
    select(
        _RUNS.id,
        _RUNS.state,
        _RUNS.want,
        _ATTEMPTS.worker_id,
        _ATTEMPTS.constraints,
        _ATTEMPTS.started_at,
        _ATTEMPTS.frozen_since,
    )
    .join(schema.runs, (_RUNS.id == _ATTEMPTS.run_id) & (_RUNS.current_attempt == _ATTEMPTS.attempt))
    .where(_ATTEMPTS.waiting_since.is_not(None))
)
_NEEDS: Final = select(schema.queued.c.need)
_PARENTS: Final = select(func.json_each(bindparam("parents")).table_valued("value").c.value)
_CHILD: Final = (
    select(_RUNS.id, _RUNS.parent_id)
    .where(_RUNS.need == bindparam("need"), _RUNS.parent_id.is_not(None), _RUNS.parent_id.in_(_PARENTS), DUE)
    .order_by(*RANK)
    .limit(1)
)
_PAUSED: Final = select(schema.pauses.c.worker_id).where(
    schema.pauses.c.run_id == bindparam("run"), schema.pauses.c.until > bindparam("due")
)
_child: Final = schema.runs.alias("child")
_AT_WORK: Final = exists().where(_child.c.parent_id == _RUNS.id, _child.c.state.in_(sorted(set(RunState) - TERMINAL)))
_GIVEN_BACK: Final = select(_RUNS.id, _RUNS.state, _AT_WORK.label("children_at_work")).where(_RUNS.after_children)


class _Workers:
    """The room of each, read when first asked for."""

    def __init__(self, shared: SharedState, connection: Connection) -> None:
        self._shared = shared
        self._connection = connection

    @cached_property
    def without_runs(self) -> list[Room]:
        return rooms.rooms_without_runs(self._shared.roster, self._shared.server_time)

    @cached_property
    def now(self) -> dict[str, Room]:
        return rooms.all_rooms(self._shared.roster, self._connection, self._shared.server_time)


class MemoryLocks:
    """Kept in memory: after a start of the server the time begins again. Touched by the writer thread only."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._since: dict[str, float] = {}
        """By need: since when, in boot time, a child that needs it is locked out."""

    def look(self, tx: Transaction) -> None:
        """Give back what locks children out, and let go what was given back once its children have ended."""
        given_back = [row for row in tx.connection.execute(_GIVEN_BACK) if row.state == RunState.PENDING]
        for row in given_back:
            if not row.children_at_work:
                RunChange(self._shared, tx, row.id).set_run(after_children=False)
        before, self._since = self._since, {}
        if holders := self._holders(tx.connection):
            self._look_at(tx, holders, [row.id for row in given_back], before)

    def _look_at(self, tx: Transaction, holders: list[Holder], given_back: list[str], before: dict[str, float]) -> None:
        now, workers = self._shared.server_time.boot(), _Workers(self._shared, tx.connection)
        for text, need in readable(tx.connection.execute(_NEEDS).scalars().all()).items():
            parents = [each.run_id for each in holders] + given_back
            if (child := self._child(tx.connection, text, parents)) is None:
                continue
            if found := self._in_its_way(tx.connection, child, need, workers, holders):
                self._since[text] = before.get(text, now)
                if now - self._since[text] >= LOCKED_S:
                    self._give_back(tx, found, child.id)
                    del self._since[text]
                    holders = [holder for holder in holders if holder not in found]

    def _child(self, connection: Connection, text: str, parents: list[str]) -> Row[Any] | None:
        """The first run of that need which is a child of one of these."""
        asked = {"need": text, "due": self._shared.server_time.due(), "parents": dumps(parents)}
        rows: list[Row[Any]] = list(connection.execute(_CHILD, asked))
        return rows[0] if rows else None

    def _in_its_way(
        self, connection: Connection, child: Row[Any], need: Need, workers: _Workers, holders: list[Holder]
    ) -> list[Holder]:
        asked = {"run": child.id, "due": self._shared.server_time.due()}
        paused = set(connection.execute(_PAUSED, asked).scalars())
        own = WaitingAncestors(connection).workers(child.parent_id)
        able = [
            room
            for room in workers.without_runs
            if room.worker_id not in paused and not self._passes(workers.now[room.worker_id], need, own)
        ]
        return in_its_way(need, own, able, holders)

    def _passes(self, room: Room, need: Need, own: frozenset[str]) -> bool:
        """Whether the worker has room for the child and takes it not, as one that claims some runs only."""
        kept = room.worker_id in self._shared.reservations.by_worker
        return not kept and room.fits(need, child=room.worker_id in own)

    def _holders(self, connection: Connection) -> list[Holder]:
        """All that wait, but those that are to be given back already."""
        return [
            Holder(
                row.id,
                row.worker_id,
                rooms.constraints_of(row.constraints),
                row.started_at,
                row.want is None and row.frozen_since is None and self._can_be_asked(row.worker_id),
            )
            for row in connection.execute(_HOLDERS)
            if row.state == RunState.RUNNING and row.want != Want.RELEASE
        ]

    def _can_be_asked(self, worker_id: str) -> bool:
        known = self._shared.roster.get(worker_id)
        return known is not None and Feature.WAITING in known.report.features

    def _give_back(self, tx: Transaction, holders: list[Holder], child_id: str) -> None:
        for holder in holders:
            run = RunChange(self._shared, tx, holder.run_id)
            wishes.release(run, _ASKER)
            run.set_run(after_children=True)
            words = f"run {child_id}, which a run waits for, needs its memory: it starts again after its own children"
            run.record(run.run.current_attempt, Entry(EventType.INFO, words))
