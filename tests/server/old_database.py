"""Databases of earlier versions, as the last release before the next version made them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

_VERSION_2: Final = """
CREATE TABLE meta ("key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE definitions (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE UNIQUE INDEX definitions_name_version ON definitions (name, version);
CREATE TABLE runs (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, state TEXT NOT NULL,
    priority INTEGER NOT NULL, spec TEXT NOT NULL, secret_env TEXT NOT NULL, inputs TEXT NOT NULL, op_definition TEXT,
    op_version TEXT, topic TEXT, request_hash TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    current_attempt INTEGER NOT NULL, op_failures INTEGER NOT NULL, infra_retries INTEGER NOT NULL, not_before INTEGER,
    avoid_worker TEXT, need TEXT NOT NULL, secrets_until INTEGER, alone_s INTEGER NOT NULL, UNIQUE (id));
CREATE INDEX runs_topic ON runs (topic, seq);
CREATE INDEX runs_secrets ON runs (secrets_until) WHERE secrets_until IS NOT NULL;
CREATE INDEX runs_pending ON runs (state, need, priority DESC, seq);
CREATE INDEX runs_definition ON runs (op_definition, seq);
CREATE TABLE attempts (run_id TEXT NOT NULL, attempt INTEGER NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL,
    progress TEXT NOT NULL, outputs TEXT, constraints TEXT NOT NULL, worker_id TEXT, instance_id TEXT, lease TEXT,
    last_seq INTEGER NOT NULL, held BOOLEAN NOT NULL, taken_back BOOLEAN NOT NULL, events_bytes INTEGER NOT NULL,
    assigned_at INTEGER, started_at INTEGER, finished_at INTEGER, error_message TEXT, alone_s INTEGER NOT NULL,
    restarted_at INTEGER, PRIMARY KEY (run_id, attempt));
CREATE INDEX attempts_restarted ON attempts (worker_id, restarted_at) WHERE restarted_at IS NOT NULL;
CREATE INDEX attempts_worker ON attempts (worker_id);
CREATE INDEX attempts_held ON attempts (held, worker_id);
CREATE TABLE events (n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, attempt INTEGER NOT NULL,
    id INTEGER NOT NULL, type TEXT NOT NULL, sent_at INTEGER NOT NULL, received_at INTEGER NOT NULL, msg TEXT,
    payload TEXT, state TEXT NOT NULL, topic TEXT);
CREATE UNIQUE INDEX events_attempt ON events (run_id, attempt, id);
CREATE INDEX events_topic ON events (topic, n);
CREATE TABLE pauses (run_id TEXT NOT NULL, worker_id TEXT NOT NULL, times INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (run_id, worker_id));
CREATE TABLE workers (worker_id TEXT NOT NULL, instance_id TEXT, epoch INTEGER, state TEXT NOT NULL, body TEXT NOT NULL,
    away_until INTEGER, last_seen INTEGER NOT NULL, PRIMARY KEY (worker_id));
"""
_VERSION_3: Final = """
CREATE TABLE meta ("key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE definitions (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE INDEX definitions_name ON definitions (name, seq);
CREATE UNIQUE INDEX definitions_name_version ON definitions (name, version);
CREATE TABLE runs (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, state TEXT NOT NULL, priority
    INTEGER NOT NULL, spec TEXT NOT NULL, secret_env TEXT NOT NULL, inputs TEXT NOT NULL, op_definition TEXT,
    op_version TEXT, topic TEXT, request_hash TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT
    NULL, current_attempt INTEGER NOT NULL, op_failures INTEGER NOT NULL, infra_retries INTEGER NOT NULL, not_before
    INTEGER, avoid_worker TEXT, need TEXT NOT NULL, secrets_until INTEGER, alone_s INTEGER NOT NULL, given_back
    INTEGER NOT NULL, given_back_why TEXT, UNIQUE (id));
CREATE INDEX runs_pending ON runs (need, priority DESC, seq) WHERE state = 'PENDING';
CREATE INDEX runs_topic ON runs (topic, seq);
CREATE INDEX runs_state ON runs (state, seq);
CREATE INDEX runs_secrets ON runs (secrets_until) WHERE secrets_until IS NOT NULL;
CREATE INDEX runs_definition ON runs (op_definition, seq);
CREATE TABLE attempts (run_id TEXT NOT NULL, attempt INTEGER NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL,
    progress TEXT NOT NULL, outputs TEXT, constraints TEXT NOT NULL, worker_id TEXT, instance_id TEXT, lease TEXT,
    last_seq INTEGER NOT NULL, held BOOLEAN NOT NULL, taken_back BOOLEAN NOT NULL, events_bytes INTEGER NOT NULL,
    assigned_at INTEGER, started_at INTEGER, finished_at INTEGER, error_message TEXT, alone_s INTEGER NOT NULL,
    restarted_at INTEGER, run_seq INTEGER NOT NULL, PRIMARY KEY (run_id, attempt));
CREATE INDEX attempts_restarted ON attempts (worker_id, restarted_at) WHERE restarted_at IS NOT NULL;
CREATE INDEX attempts_worker ON attempts (worker_id, run_seq);
CREATE INDEX attempts_held ON attempts (held, worker_id) WHERE held = 1;
CREATE TABLE events (n INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, attempt INTEGER NOT NULL,
    id INTEGER NOT NULL, type TEXT NOT NULL, sent_at INTEGER NOT NULL, received_at INTEGER NOT NULL, msg TEXT,
    payload TEXT, state TEXT NOT NULL, topic TEXT);
CREATE UNIQUE INDEX events_attempt ON events (run_id, attempt, id);
CREATE INDEX events_progress ON events (run_id, attempt, id) WHERE type = 'PROGRESS';
CREATE INDEX events_topic ON events (topic, n);
CREATE TABLE pauses (run_id TEXT NOT NULL, worker_id TEXT NOT NULL, times INTEGER NOT NULL, until INTEGER NOT NULL,
    final BOOLEAN NOT NULL, PRIMARY KEY (run_id, worker_id));
CREATE INDEX pauses_until ON pauses (until);
CREATE TABLE workers (worker_id TEXT NOT NULL, instance_id TEXT, epoch INTEGER, state TEXT NOT NULL, body TEXT NOT
    NULL, away_until INTEGER, last_seen INTEGER NOT NULL, PRIMARY KEY (worker_id));
CREATE TABLE queued (need TEXT NOT NULL, runs INTEGER NOT NULL, PRIMARY KEY (need));
CREATE TRIGGER queued_new AFTER INSERT ON runs WHEN NEW.state = 'PENDING' BEGIN INSERT INTO queued VALUES (NEW.need,
    1) ON CONFLICT (need) DO UPDATE SET runs = runs + 1; END;
CREATE TRIGGER queued_enter AFTER UPDATE OF state, need ON runs WHEN NEW.state = 'PENDING' BEGIN INSERT INTO queued
    VALUES (NEW.need, 1) ON CONFLICT (need) DO UPDATE SET runs = runs + 1; END;
CREATE TRIGGER queued_leave AFTER UPDATE OF state, need ON runs WHEN OLD.state = 'PENDING' BEGIN UPDATE queued SET
    runs = runs - 1 WHERE need = OLD.need; DELETE FROM queued WHERE need = OLD.need AND runs = 0; END;
CREATE TRIGGER queued_delete AFTER DELETE ON runs WHEN OLD.state = 'PENDING' BEGIN UPDATE queued SET runs = runs - 1
    WHERE need = OLD.need; DELETE FROM queued WHERE need = OLD.need AND runs = 0; END;
"""
_VERSION_4: Final = (
    _VERSION_3
    + """
CREATE TABLE wanted (worker_id TEXT NOT NULL, state TEXT NOT NULL, seq INTEGER NOT NULL, asked_by TEXT NOT NULL,
    since INTEGER NOT NULL, PRIMARY KEY (worker_id));
"""
)
TABLES: Final = {2: _VERSION_2, 3: _VERSION_3, 4: _VERSION_4}
"""By version."""


def as_version(version: int, new: Path, old: Path) -> None:
    """Make `old` with the rows of `new`, a closed database of this version: all that the old version knew of them."""
    with closing(sqlite3.connect(old)) as file, file:
        file.executescript(f"PRAGMA journal_mode = WAL; {TABLES[version]}")
        file.execute("ATTACH ? AS new", (str(new),))
        for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = ", ".join(f'"{row[1]}"' for row in file.execute(f"PRAGMA main.table_info({table})"))
            file.execute(f"DELETE FROM main.{table}")
            file.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        file.execute("UPDATE main.meta SET value = ? WHERE key = 'schema_version'", (str(version),))
