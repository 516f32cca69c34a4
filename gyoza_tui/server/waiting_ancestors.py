"""For which pending runs others wait: those below a run that waits for its children."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, select

from gyoza_tui.models.states import RunState
from gyoza_tui.server import schema

# built once: to build a statement takes longer than to execute it
_ATTEMPTS, _RUNS = schema.attempts.c, schema.runs.c
# by the runs' state SQLite would look at every run that is RUNNING
_WAITING: Final = (
    select(_RUNS.id, _RUNS.state, _RUNS.root_id, _ATTEMPTS.worker_id)
    .join(schema.runs, (_RUNS.id == _ATTEMPTS.run_id) & (_RUNS.current_attempt == _ATTEMPTS.attempt))
    .where(_ATTEMPTS.waiting_since.is_not(None))
)
_PARENTS: Final = select(_RUNS.id, _RUNS.parent_id).where(_RUNS.id.in_(bindparam("ids", expanding=True)))


class WaitingAncestors:
    """Read when first asked for, and true for one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parents: dict[str, str | None] = {}
        self._at: dict[str, str] | None = None
        self._roots: set[str] = set()

    @property
    def roots(self) -> set[str]:
        """Runs without a parent that wait, or with one below them that does."""
        self._waiting()
        return self._roots

    def look_up(self, parent_ids: Iterable[str | None]) -> None:
        """Read which runs are above these, generation by generation, unless none waits at all."""
        asked = {each for each in parent_ids if each is not None} - self._parents.keys()
        while asked and self._waiting():
            found = {row.id: row.parent_id for row in self._connection.execute(_PARENTS, {"ids": sorted(asked)})}
            self._parents |= dict.fromkeys(asked) | found
            asked = {each for each in found.values() if each is not None} - self._parents.keys()

    def workers(self, parent_id: str | None) -> frozenset[str]:
        """Those at which a run waits that is above the children of this one, or is this one."""
        found = set()
        self.look_up([parent_id])
        while parent_id is not None and (waiting := self._waiting()):
            if parent_id in waiting:
                found.add(waiting[parent_id])
            parent_id = self._parents[parent_id]
        return frozenset(found)

    def _waiting(self) -> dict[str, str]:
        """The worker of each run that waits."""
        if self._at is None:
            rows = [row for row in self._connection.execute(_WAITING) if row.state == RunState.RUNNING]
            self._at = {row.id: row.worker_id for row in rows}
            self._roots = {row.root_id or row.id for row in rows}
        return self._at
