"""The children of a run: how many are at work, and what is still to be passed on to them.

A run may have thousands. So what its end or its new priority means for them is noted here in the transaction that
brings it about, and passed on by `cascade.py` in small steps.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from gyoza_tui.models.states import TERMINAL, RunState
from gyoza_tui.server import schema


class Matter(StrEnum):
    """What is passed on."""

    END = "end"
    """The run was cancelled or failed, and no attempt follows: its children are cancelled."""
    PRIORITY = "priority"


# built once: to build a statement takes longer than to execute it
_RUNS: Final = schema.runs.c
_CASCADES: Final = schema.cascades.c
_AT_WORK: Final = select(func.count()).where(
    _RUNS.parent_id == bindparam("parent_id"), _RUNS.state.in_(sorted(set(RunState) - TERMINAL))
)
_BEGIN: Final = schema.cascades.insert().prefix_with("OR REPLACE")
_STOP: Final = schema.cascades.delete().where(
    _CASCADES.run_id == bindparam("the_run"), _CASCADES.matter == bindparam("the_matter")
)


def at_work(connection: Connection, run_id: str) -> int:
    """How many have not ended."""
    count: int = connection.execute(_AT_WORK, {"parent_id": run_id}).scalar_one()
    return count


def after_move(connection: Connection, run_id: str, target: RunState) -> None:
    """Note what the run's new state means for its children. An attempt that follows an end takes that back."""
    if target in (RunState.FAILED, RunState.CANCELLED):
        pass_on(connection, run_id, Matter.END)
    elif target is RunState.PENDING:
        stop(connection, run_id, Matter.END)


def pass_on(connection: Connection, run_id: str, matter: Matter) -> None:
    """To all of them, from the first one on."""
    connection.execute(_BEGIN, {"run_id": run_id, "matter": matter, "after_seq": 0})


def stop(connection: Connection, run_id: str, matter: Matter) -> None:
    connection.execute(_STOP, {"the_run": run_id, "the_matter": matter})
