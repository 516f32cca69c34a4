"""The tables. `upgrades.py` makes them in a new database, and of those of an older one."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    case,
    event,
    func,
    literal_column,
    text,
)

from gyoza_tui.models.states import RunState

SCHEMA_VERSION: Final = 5

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
    Index("definitions_name", "name", "seq"),
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
    Column("given_back", Integer, nullable=False, default=0),
    Column("given_back_why", Text),
    Column("parent_id", Text),
    Column("parent_attempt", Integer),
    Column("root_id", Text),
    Column("depth", Integer, nullable=False, default=0),
    Column("detached", Boolean, nullable=False, default=False),
    Column("children", Integer, nullable=False, default=0),
    Column("descendants", Integer, nullable=False, default=0),
    Column("ended_seq", Integer),
    Column("held_by", Text),
    Column("want", Text),
    Column("want_by", Text),
    Column("after_children", Boolean, nullable=False, default=False),
    Index("runs_after_children", "id", sqlite_where=text("after_children = 1")),
    Index("runs_children", "parent_id", "seq", sqlite_where=text("parent_id IS NOT NULL")),
    Index("runs_ended", "parent_id", "ended_seq", sqlite_where=text("ended_seq IS NOT NULL")),
    Index("runs_end", "ended_seq", sqlite_where=text("ended_seq IS NOT NULL")),
    Index("runs_secrets", "secrets_until", sqlite_where=text("secrets_until IS NOT NULL")),
    Index("runs_state", "state", "seq"),
    Index("runs_held", "held_by", sqlite_where=text("held_by IS NOT NULL")),
    Index(
        "runs_pending",
        "need",
        text("priority DESC"),
        text("depth DESC"),
        "seq",
        sqlite_where=text("state = 'PENDING' AND held_by IS NULL"),
    ),
    Index(
        "runs_pending_children",
        "need",
        text("priority DESC"),
        text("depth DESC"),
        "seq",
        sqlite_where=text("state = 'PENDING' AND held_by IS NULL AND parent_id IS NOT NULL"),
    ),
    Index("runs_topic", "topic", "seq"),
    Index("runs_definition", "op_definition", "seq"),
    sqlite_autoincrement=True,
)
"""`seq` is the run's age; `need` what the scheduler must know of it; `avoid_worker` the machine that failed it last.
`secret_env` has null for a value that was erased, `secrets_until` is when that is due. `alone_s`: seconds for which the
next attempt must be alone on its backend. `given_back`: how often workers have given it back since it last started;
`given_back_why`: by which worker the last time, and why. `parent_attempt`: the last attempt of its parent that
asked for it. `root_id`: its ancestor that has no parent. `children`, `descendants`: how many it has
created, and how many are below it; the latter is kept of roots alone. `ended_seq`: the order in which runs ended, a new
number for each end; one that runs again keeps its number until it ends again. `held_by`: who holds it back while it is
PENDING. `want`: what is wanted of its worker, by whom. `after_children`: it is not placed before they have ended."""

PENDING: Final = runs.c.state == literal_column(f"'{RunState.PENDING}'")
"""Spelt out: SQLite does not use a partial index for a parameter."""
PLACEABLE: Final = and_(PENDING, runs.c.held_by.is_(None))
"""Queued: PENDING, and no one holds it back."""

queued: Final = Table(
    "queued",
    metadata,
    Column("need", Text, primary_key=True),
    Column("runs", Integer, nullable=False),
)
"""Each need of queued runs, and how many they are. Kept by triggers, so that it is always what the rows say."""

_ONE_MORE: Final = "INSERT INTO queued VALUES (NEW.need, 1) ON CONFLICT (need) DO UPDATE SET runs = runs + 1;"
_ONE_LESS: Final = (
    "UPDATE queued SET runs = runs - 1 WHERE need = OLD.need; DELETE FROM queued WHERE need = OLD.need AND runs = 0;"
)
_IS_QUEUED: Final = "NEW.state = 'PENDING' AND NEW.held_by IS NULL"
_WAS_QUEUED: Final = "OLD.state = 'PENDING' AND OLD.held_by IS NULL"
QUEUE_TRIGGERS: Final = {
    "queued_new": f"INSERT ON runs WHEN {_IS_QUEUED} BEGIN {_ONE_MORE} END",
    "queued_enter": f"UPDATE OF state, need, held_by ON runs WHEN {_IS_QUEUED} BEGIN {_ONE_MORE} END",
    "queued_leave": f"UPDATE OF state, need, held_by ON runs WHEN {_WAS_QUEUED} BEGIN {_ONE_LESS} END",
    "queued_delete": f"DELETE ON runs WHEN {_WAS_QUEUED} BEGIN {_ONE_LESS} END",
}
queued.add_is_dependent_on(runs)
for _name, _rest in QUEUE_TRIGGERS.items():
    _trigger = DDL(f"CREATE TRIGGER {_name} AFTER {_rest}")  # type: ignore[no-untyped-call]
    event.listen(queued, "after_create", _trigger)

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
    Column("run_seq", Integer, nullable=False, default=0),
    Column("waiting", Text),
    Column("waiting_since", Integer),
    Column("waited_us", Integer, nullable=False, default=0),
    Column("waits", Integer, nullable=False, default=0),
    Column("return_event", Integer),
    Column("frozen_since", Integer),
    Column("frozen_us", Integer, nullable=False, default=0),
    Index("attempts_waiting", "worker_id", sqlite_where=text("waiting_since IS NOT NULL")),
    Index("attempts_restarted", "worker_id", "restarted_at", sqlite_where=text("restarted_at IS NOT NULL")),
    # with `held` as a column too: of two indexes by worker SQLite takes the one with more equalities
    Index("attempts_held", "held", "worker_id", sqlite_where=text("held = 1")),
    Index("attempts_worker", "worker_id", "run_seq"),
)
"""`held`: the worker's resources are counted for it. `taken_back`: by the server, from a worker not heard of; its last
lease may still bring the result while the successor has not started. `alone_s`: for how long it starts alone.
`restarted_at`: when it ended because its engine
was restarted. `run_seq`: the run's age, by which the runs of a worker are listed. `waiting`: a `Waiting` as JSON, while
the attempt waits for its children and no slot and no cpu is counted for it. `waited_us`, `frozen_us`: microseconds that
are over; the latter with those for which it was taken back. `waits`: how often it has begun to wait; `return_event`:
its last return, in the timeline."""


HELD_OF_RUN: Final = attempts.c.held.is_not(False)
"""For the attempts of one run. `held = 1` would make SQLite use `attempts_held`, and read all held attempts for it."""


def backend_of(need: ColumnElement[str]) -> ColumnElement[str]:
    """The backend that a run needs, from the column `need`."""
    return readable_json(need, "$[0]")


def readable_json(column: ColumnElement[str], path: str) -> ColumnElement[str]:
    """What is at that path; NULL where the column is damaged, which else fails the whole statement."""
    return case((func.json_valid(column) == 1, func.json_extract(column, path)))


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
    Index("events_progress", "run_id", "attempt", "id", sqlite_where=text("type = 'PROGRESS'")),
    sqlite_autoincrement=True,
)
"""The payload of COMPLETED is not stored twice: it is the attempt's outputs. Of PROGRESS the last ones are kept."""

PROGRESS_KEPT: Final = 10
"""Per attempt."""
DELETE_OLDER_PROGRESS: Final = f"""
    DELETE FROM events WHERE type = 'PROGRESS' AND id < (
        SELECT kept.id FROM events AS kept
        WHERE kept.type = 'PROGRESS' AND kept.run_id = events.run_id AND kept.attempt = events.attempt
        ORDER BY kept.id DESC LIMIT 1 OFFSET {PROGRESS_KEPT - 1}
    )
"""
"""Of all attempts; the type is written out, because a partial index is not used for a parameter."""

cascades: Final = Table(
    "cascades",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("matter", Text, primary_key=True),
    Column("after_seq", Integer, nullable=False),
)
"""What is still to be passed on to the children of a run. Those up to the `seq` `after_seq` have it."""

pauses: Final = Table(
    "pauses",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("worker_id", Text, primary_key=True),
    Column("times", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Column("final", Boolean, nullable=False, default=False),
    Index("pauses_until", "until"),
)
"""A run given back is not offered to that worker again before `until`; `final`: the worker will never take it."""

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

wanted: Final = Table(
    "wanted",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("since", Integer, nullable=False),
)
"""The state that was last asked for of a worker. A row stays when its worker is deregistered."""
