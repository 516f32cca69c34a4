"""Runs that a run creates: whether it may, how many, and what they take over from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy import Row, bindparam, select

from gyoza_tui.models.definitions import OpSpec
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.limits import CHILDREN_MAX, DEPTH_MAX, DESCENDANTS_MAX
from gyoza_tui.models.nested import MaySubmit, Parent
from gyoza_tui.models.states import RunState
from gyoza_tui.server import schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.reports import Fence
from gyoza_tui.server.rows import loads
from gyoza_tui.server.run_change import RunChange
from gyoza_tui.server.shared_state import SharedState

# built once: to build a statement takes longer than to execute it
_RUNS: Final = schema.runs.c
_DESCENDANTS: Final = select(_RUNS.descendants).where(_RUNS.id == bindparam("the_root"))
_ONE_CHILD_MORE: Final = (
    schema.runs.update().where(_RUNS.id == bindparam("the_parent")).values(children=_RUNS.children + 1)
)
_ONE_DESCENDANT_MORE: Final = (
    schema.runs.update().where(_RUNS.id == bindparam("the_root")).values(descendants=_RUNS.descendants + 1)
)


@dataclass(frozen=True, slots=True)
class Creator:
    """A run whose attempt is RUNNING and belongs to the sender of the request."""

    run: Row[Any]
    attempt: int

    @classmethod
    def proven(cls, shared: SharedState, tx: Transaction, parent: Parent) -> Self:
        """Refused (409 `not_yours`) unless the lease is that of the attempt, and the attempt is RUNNING."""
        run = RunChange(shared, tx, parent.run)
        row = Fence(None, parent.attempt, parent.lease).passed(run)
        if run.state is not RunState.RUNNING or row.attempt != run.run.current_attempt or not row.held:
            why = f"attempt {row.attempt} of run {parent.run} is not RUNNING: it creates no runs"
            raise Refused(409, ErrorCode.NOT_YOURS, why)
        return cls(run.run, row.attempt)

    @property
    def may_submit(self) -> MaySubmit:
        return MaySubmit(loads(self.run.spec).get("may_submit", MaySubmit.NO))

    def check_definition(self) -> None:
        """Refused (409) when it may create no runs at all."""
        if self.may_submit is MaySubmit.NO:
            raise self._not_allowed("may not submit runs", "definitions")

    def check_ad_hoc(self, spec: OpSpec) -> None:
        """Refused (409) when it may not create this run, which is of no definition."""
        self.check_definition()
        if self.may_submit is not MaySubmit.ANY:
            raise self._not_allowed("may submit runs of definitions only", "any")
        if spec.volumes or spec.secret_env:
            why = f"run {self.run.id} may submit no run with volumes or secret_env, but by a definition that has them"
            raise Refused(409, ErrorCode.MAY_SUBMIT, why)

    def _not_allowed(self, what: str, needed: str) -> Refused:
        why = f"run {self.run.id} {what}: it was submitted with may_submit {self.may_submit}, this needs {needed}"
        return Refused(409, ErrorCode.MAY_SUBMIT, why)

    @property
    def root_id(self) -> str:
        root: str = self.run.root_id or self.run.id
        return root

    def columns(self, *, detach: bool) -> dict[str, Any]:
        """What the row of its child has of it."""
        return {
            "parent_id": self.run.id,
            "parent_attempt": self.attempt,
            "root_id": self.root_id,
            "depth": self.run.depth + 1,
            "priority": self.run.priority,
            "detached": detach,
        }

    def count_child(self, tx: Transaction) -> None:
        """One more; Refused (409 `limit`) when that is too many or too deep."""
        if self.run.depth >= DEPTH_MAX:
            raise _limit(f"run {self.run.id} has {self.run.depth} runs above it: at most {DEPTH_MAX} generations")
        if self.run.children >= CHILDREN_MAX:
            raise _limit(f"run {self.run.id} has created {self.run.children} runs: one creates at most {CHILDREN_MAX}")
        root = {"the_root": self.root_id}
        below = tx.connection.execute(_DESCENDANTS, root).scalar_one()
        if below >= DESCENDANTS_MAX:
            raise _limit(f"there are {below} runs below run {self.root_id}: at most {DESCENDANTS_MAX}")
        tx.connection.execute(_ONE_CHILD_MORE, {"the_parent": self.run.id})
        tx.connection.execute(_ONE_DESCENDANT_MORE, root)


def _limit(why: str) -> Refused:
    return Refused(409, ErrorCode.LIMIT, why)
