"""Op definitions: every version of every name is kept."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import SECRET_SHOWN
from gyoza_tui.server import schema
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.shared_state import SharedState


def upsert(shared: SharedState, tx: Transaction, definition: OpDefinition) -> OpDefinition:
    """Create or replace that (name, version); from now on it is the name's latest."""
    table = schema.definitions
    same = (table.c.name == definition.id) & (table.c.version == definition.version)
    replaced = tx.connection.execute(table.delete().where(same)).rowcount > 0
    shared.erased = shared.erased or replaced
    body = definition.model_dump_json()
    tx.connection.execute(table.insert().values(name=definition.id, version=definition.version, body=body))
    return shown(definition)


def find(connection: Connection, name: str, version: str | None) -> OpDefinition:
    """With its secrets; without a version the one upserted last."""
    table = schema.definitions
    query = select(table.c.body).where(table.c.name == name).order_by(table.c.seq.desc()).limit(1)
    if version is not None:
        query = query.where(table.c.version == version)
    body = connection.execute(query).scalar()
    if body is None:
        which = "" if version is None else f" in version {version[:80]!a}"
        raise Refused(404, ErrorCode.DEFINITION_UNKNOWN, f"there is no definition {name[:80]!a}{which}")
    return OpDefinition.model_validate_json(body)


def all_versions(connection: Connection) -> list[OpDefinition]:
    table = schema.definitions
    bodies = connection.execute(select(table.c.body).order_by(table.c.name, table.c.seq)).scalars()
    return [shown(OpDefinition.model_validate_json(body)) for body in bodies]


def shown(definition: OpDefinition) -> OpDefinition:
    """As everybody sees it: without the values of its secrets."""
    return definition.model_copy(update={"secret_env": dict.fromkeys(definition.secret_env, SECRET_SHOWN)})
