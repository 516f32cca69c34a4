"""The values of `secret_env`: how long they are kept after their run, and what is kept of them then: their names."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from gyoza_tui.models.states import RunState
from gyoza_tui.server import schema
from gyoza_tui.server.rows import dumps, loads
from gyoza_tui.server.server_time import Micros

_AT_ONCE: Final = 500
_OVERDUE: Final = (
    select(schema.runs.c.id, schema.runs.c.secret_env)
    .where(schema.runs.c.secrets_until <= bindparam("due"))
    .limit(_AT_ONCE)
)
_SET: Final = schema.runs.update().where(schema.runs.c.id == bindparam("the_id"))


def after_move(run: Row[Any], target: RunState, until: Micros) -> dict[str, Any]:
    """The columns that change as well when the run becomes `target`; `until`: how long a run that may be retried keeps
    its values."""
    if not loads(run.secret_env):
        return {}
    match target:
        case RunState.COMPLETED:
            return _erased(run.secret_env)
        case RunState.FAILED | RunState.CANCELLED:
            return {"secrets_until": until}
        case _:
            return {"secrets_until": None}


def erase_overdue(connection: Connection, due: Micros) -> bool:
    """Whether there was anything to erase."""
    found = connection.execute(_OVERDUE, {"due": due}).all()
    for run in found:
        connection.execute(_SET, {"the_id": run.id, **_erased(run.secret_env)})
    return bool(found)


def erased_names(run: Row[Any]) -> list[str]:
    return sorted(name for name, value in loads(run.secret_env).items() if value is None)


def _erased(secret_env: str) -> dict[str, Any]:
    return {"secret_env": dumps(dict.fromkeys(loads(secret_env))), "secrets_until": None}
