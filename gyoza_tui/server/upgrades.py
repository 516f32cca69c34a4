"""How a database becomes one with the tables of `schema.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, func, select, text

from gyoza_tui.server.schema import (
    DELETE_OLDER_PROGRESS,
    PENDING,
    QUEUE_TRIGGERS,
    SCHEMA_VERSION,
    cascades,
    meta,
    metadata,
    queued,
    runs,
    wanted,
)

_SECRETS_KEPT: Final = 7 * 24 * 3600 * 1_000_000


def _to_version_2(connection: Connection) -> None:
    for column in (
        "runs ADD COLUMN secrets_until INTEGER",
        "runs ADD COLUMN alone_s INTEGER NOT NULL DEFAULT 0",
        "attempts ADD COLUMN alone_s INTEGER NOT NULL DEFAULT 0",
        "attempts ADD COLUMN restarted_at INTEGER",
    ):
        connection.execute(text(f"ALTER TABLE {column}"))
    _create_indexes(connection, "runs_secrets", "attempts_restarted")
    for states, kept in (("'COMPLETED'", 0), ("'FAILED', 'CANCELLED'", _SECRETS_KEPT)):
        having = f"state IN ({states}) AND secret_env <> '{{}}'"
        connection.execute(text(f"UPDATE runs SET secrets_until = updated_at + {kept} WHERE {having}"))


def _to_version_3(connection: Connection) -> None:
    for statement in (
        "ALTER TABLE runs ADD COLUMN given_back INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN given_back_why TEXT",
        "ALTER TABLE pauses ADD COLUMN final BOOLEAN NOT NULL DEFAULT 0",
        "ALTER TABLE attempts ADD COLUMN run_seq INTEGER NOT NULL DEFAULT 0",
        "UPDATE attempts SET run_seq = coalesce((SELECT seq FROM runs WHERE id = run_id), 0)",
        "DROP INDEX runs_pending",
        "DROP INDEX attempts_held",
        "DROP INDEX attempts_worker",
    ):
        connection.execute(text(statement))
    _create_indexes(connection, "runs_state", "attempts_held", "attempts_worker")
    _create_indexes(connection, "definitions_name", "pauses_until", "events_progress")
    queued.create(connection)
    connection.execute(
        queued.insert().from_select(["need", "runs"], select(runs.c.need, func.count()).where(PENDING).group_by("need"))
    )
    connection.execute(text(DELETE_OLDER_PROGRESS))


def _to_version_4(connection: Connection) -> None:
    wanted.create(connection)


def _to_version_5(connection: Connection) -> None:
    for column in (
        "runs ADD COLUMN parent_id TEXT",
        "runs ADD COLUMN parent_attempt INTEGER",
        "runs ADD COLUMN root_id TEXT",
        "runs ADD COLUMN depth INTEGER NOT NULL DEFAULT 0",
        "runs ADD COLUMN detached BOOLEAN NOT NULL DEFAULT 0",
        "runs ADD COLUMN children INTEGER NOT NULL DEFAULT 0",
        "runs ADD COLUMN descendants INTEGER NOT NULL DEFAULT 0",
        "runs ADD COLUMN ended_seq INTEGER",
        "runs ADD COLUMN held_by TEXT",
        "runs ADD COLUMN want TEXT",
        "runs ADD COLUMN want_by TEXT",
        "runs ADD COLUMN after_children BOOLEAN NOT NULL DEFAULT 0",
        "attempts ADD COLUMN waiting TEXT",
        "attempts ADD COLUMN waiting_since INTEGER",
        "attempts ADD COLUMN waited_us INTEGER NOT NULL DEFAULT 0",
        "attempts ADD COLUMN waits INTEGER NOT NULL DEFAULT 0",
        "attempts ADD COLUMN return_event INTEGER",
        "attempts ADD COLUMN frozen_since INTEGER",
        "attempts ADD COLUMN frozen_us INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(text(f"ALTER TABLE {column}"))
    connection.execute(text("DROP INDEX IF EXISTS runs_pending"))
    for name, rest in QUEUE_TRIGGERS.items():
        connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(f"CREATE TRIGGER {name} AFTER {rest}"))
    _create_indexes(
        connection,
        "runs_pending",
        "runs_pending_children",
        "runs_held",
        "runs_after_children",
        "runs_children",
        "runs_ended",
        "runs_end",
        "attempts_waiting",
    )
    cascades.create(connection)


def _create_indexes(connection: Connection, *names: str) -> None:
    by_name = {str(index.name): index for table in metadata.tables.values() for index in table.indexes}
    for name in names:
        by_name[name].create(connection)


UPGRADES: Final[dict[int, Callable[[Connection], None]]] = {
    1: _to_version_2,
    2: _to_version_3,
    3: _to_version_4,
    4: _to_version_5,
}
"""From each older version to the next one."""


def stored_version(connection: Connection) -> int:
    """0 for an empty database. ValueError for what is no version."""
    tables = {row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))}
    if not tables:
        return 0
    found = _meta(connection, "schema_version") if meta.name in tables else None
    if found is None or not (found.isascii() and found.isdigit()) or int(found) < 1:
        raise ValueError("nothing" if found is None else ascii(found[:40]))
    return int(found)


def stored_server_id(connection: Connection) -> str:
    """ValueError when there is none."""
    if not (found := _meta(connection, "server_id")):
        raise ValueError("nothing" if found is None else ascii(found))
    return found


def _meta(connection: Connection, key: str) -> str | None:
    found = connection.execute(select(meta.c.value).where(meta.c.key == key)).scalar()
    return None if found is None else str(found)


def bring_up_to_date(connection: Connection, version: int, server_id: str) -> None:
    """Create the tables in an empty database, or take an older one up step by step."""
    if version == 0:
        metadata.create_all(connection)
        connection.execute(meta.insert().values(key="server_id", value=server_id))
        connection.execute(meta.insert().values(key="schema_version", value=str(SCHEMA_VERSION)))
        return
    for step in range(version, SCHEMA_VERSION):
        UPGRADES[step](connection)
    stored = meta.update().where(meta.c.key == "schema_version")
    connection.execute(stored.values(value=str(SCHEMA_VERSION)))
