"""The tables, and how an older database becomes this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Boolean, Column, ColumnElement, Connection, Index, Integer, MetaData, Table, Text, func, text

SCHEMA_VERSION: Final = 2

metadata: Final = MetaData()

meta: Final = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""`schema_version` and `server_id`."""

definitions: Final = Table(
    "definitions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("definitions_name_version", "name", "version", unique=True),
    sqlite_autoincrement=True,
)
"""The highest `seq` of a name is the one upserted last."""

runs: Final = Table(
    "runs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("spec", Text, nullable=False),
    Column("secret_env", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("op_definition", Text),
    Column("op_version", Text),
    Column("topic", Text),
    Column("request_hash", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("current_attempt", Integer, nullable=False),
    Column("op_failures", Integer, nullable=False, default=0),
    Column("infra_retries", Integer, nullable=False, default=0),
    Column("not_before", Integer),
    Column("avoid_worker", Text),
    Column("need", Text, nullable=False),
    Column("secrets_until", Integer),
    Column("alone_s", Integer, nullable=False, default=0),
    Index("runs_secrets", "secrets_until", sqlite_where=text("secrets_until IS NOT NULL")),
    Index("runs_pending", "state", "need", text("priority DESC"), "seq"),
    Index("runs_topic", "topic", "seq"),
    Index("runs_definition", "op_definition", "seq"),
    sqlite_autoincrement=True,
)
"""`seq` is the run's age; `need` what the scheduler must know of it; `avoid_worker` the machine that failed it last.
`secret_env` has null for a value that was erased, `secrets_until` is when that is due. `alone_s`: seconds for which the
next attempt must be alone on its backend."""

attempts: Final = Table(
    "attempts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("progress", Text, nullable=False, default="0"),
    Column("outputs", Text),
    Column("constraints", Text, nullable=False),
    Column("worker_id", Text),
    Column("instance_id", Text),
    Column("lease", Text),
    Column("last_seq", Integer, nullable=False, default=0),
    Column("held", Boolean, nullable=False, default=False),
    Column("taken_back", Boolean, nullable=False, default=False),
    Column("events_bytes", Integer, nullable=False, default=0),
    Column("assigned_at", Integer),
    Column("started_at", Integer),
    Column("finished_at", Integer),
    Column("error_message", Text),
    Column("alone_s", Integer, nullable=False, default=0),
    Column("restarted_at", Integer),
    Index("attempts_restarted", "worker_id", "restarted_at", sqlite_where=text("restarted_at IS NOT NULL")),
    Index("attempts_held", "held", "worker_id"),
    Index("attempts_worker", "worker_id"),
)
"""`held`: the worker's resources are counted for it. `taken_back`: by the server, from a worker not heard of; its last
lease may still bring the result while the successor has not started. `alone_s`: for how long it starts alone.
`restarted_at`: when it ended because its engine
was restarted."""


def backend_of(need: ColumnElement[str]) -> ColumnElement[str]:
    """The backend that a run needs, from the column `need`."""
    return func.json_extract(need, "$[0]")


events: Final = Table(
    "events",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("run_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("id", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("sent_at", Integer, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("msg", Text),
    Column("payload", Text),
    Column("state", Text, nullable=False),
    Column("topic", Text),
    Index("events_attempt", "run_id", "attempt", "id", unique=True),
    Index("events_topic", "topic", "n"),
    sqlite_autoincrement=True,
)
"""The payload of COMPLETED is not stored twice: it is the attempt's outputs."""

pauses: Final = Table(
    "pauses",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("worker_id", Text, primary_key=True),
    Column("times", Integer, nullable=False),
    Column("until", Integer, nullable=False),
)
"""A run given back is not offered to that worker again for a while."""

workers: Final = Table(
    "workers",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("instance_id", Text),
    Column("epoch", Integer),
    Column("state", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("away_until", Integer),
    Column("last_seen", Integer, nullable=False),
)
"""`body` is the last beat without what changes at every beat."""

_SECRETS_KEPT: Final = 7 * 24 * 3600 * 1_000_000


def _to_version_2(connection: Connection) -> None:
    for column in (
        "runs ADD COLUMN secrets_until INTEGER",
        "runs ADD COLUMN alone_s INTEGER NOT NULL DEFAULT 0",
        "attempts ADD COLUMN alone_s INTEGER NOT NULL DEFAULT 0",
        "attempts ADD COLUMN restarted_at INTEGER",
    ):
        connection.execute(text(f"ALTER TABLE {column}"))
    for table, name in ((runs, "runs_secrets"), (attempts, "attempts_restarted")):
        next(index for index in table.indexes if index.name == name).create(connection)
    for states, kept in (("'COMPLETED'", 0), ("'FAILED', 'CANCELLED'", _SECRETS_KEPT)):
        having = f"state IN ({states}) AND secret_env <> '{{}}'"
        connection.execute(text(f"UPDATE runs SET secrets_until = updated_at + {kept} WHERE {having}"))


UPGRADES: Final[dict[int, Callable[[Connection], None]]] = {1: _to_version_2}
"""From each older version to the next one."""


def stored_version(connection: Connection) -> int:
    """0 for an empty database."""
    tables = {row[0] for row in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))}
    if meta.name not in tables:
        return 0
    return int(connection.execute(meta.select().where(meta.c.key == "schema_version")).one().value)


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
