"""A database of version 1, as the first release wrote it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

TABLES: Final = """
CREATE TABLE meta ("key" TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY ("key"));
CREATE TABLE definitions (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE UNIQUE INDEX definitions_name_version ON definitions (name, version);
CREATE TABLE runs (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, state TEXT NOT NULL,
    priority INTEGER NOT NULL, spec TEXT NOT NULL, secret_env TEXT NOT NULL, inputs TEXT NOT NULL, op_definition TEXT,
    op_version TEXT, topic TEXT, request_hash TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    current_attempt INTEGER NOT NULL, op_failures INTEGER NOT NULL, infra_retries INTEGER NOT NULL, not_before INTEGER,
    avoid_worker TEXT, need TEXT NOT NULL, UNIQUE (id));
CREATE INDEX runs_topic ON runs (topic, seq);
CREATE INDEX runs_definition ON runs (op_definition, seq);
CREATE INDEX runs_pending ON runs (state, need, priority DESC, seq);
CREATE TABLE attempts (run_id TEXT NOT NULL, attempt INTEGER NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL,
    progress TEXT NOT NULL, outputs TEXT, constraints TEXT NOT NULL, worker_id TEXT, instance_id TEXT, lease TEXT,
    last_seq INTEGER NOT NULL, held BOOLEAN NOT NULL, taken_back BOOLEAN NOT NULL, events_bytes INTEGER NOT NULL,
    assigned_at INTEGER, started_at INTEGER, finished_at INTEGER, error_message TEXT, PRIMARY KEY (run_id, attempt));
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
INSERT INTO meta VALUES ('schema_version', '1'), ('server_id', 'the-first-server');
"""
_RUN: Final = {
    "spec": '{"image":"busybox","command":["true"],"env":{},"constraints":{},"retry_policy":{"max_attempts":1}}',
    "need": '["docker", null, null, null, null, null, []]',
    "inputs": "{}",
    "priority": 5,
    "current_attempt": 1,
    "op_failures": 0,
    "infra_retries": 0,
    "request_hash": "x",
}
_ATTEMPT: Final = {"attempt": 1, "progress": "0", "constraints": "{}", "last_seq": 0, "events_bytes": 0}


class Version1:
    """Filled by a test, then closed."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path)
        self._file.executescript("PRAGMA journal_mode = WAL; PRAGMA secure_delete = OFF;" + TABLES)

    def run(self, run_id: str, state: str, at: int, secret_env: str = "{}") -> None:
        """A run that has been `state` since `at` (microseconds since 1970), with its one attempt."""
        self._insert(
            "runs", _RUN | {"id": run_id, "state": state, "secret_env": secret_env, "created_at": at, "updated_at": at}
        )
        own: dict[str, Any] = {"run_id": run_id, "id": f"{run_id}-1", "state": state, "taken_back": False}
        own["held"] = state in ("ASSIGNED", "RUNNING")
        if state != "PENDING":
            own |= {"worker_id": "w1", "instance_id": "instance-of-w1", "lease": f"lease-of-{run_id}", "started_at": at}
        self._insert("attempts", _ATTEMPT | own)

    def progress(self, run_id: str, percents: Iterable[int]) -> None:
        """Its reports, all of which this version kept."""
        for number, percent in enumerate(percents):
            event = {"type": "PROGRESS", "sent_at": number, "received_at": number, "state": "RUNNING", "msg": percent}
            self._insert("events", event | {"run_id": run_id, "attempt": 1, "id": number})

    def delete(self, run_id: str) -> None:
        """As this version deleted: what was there can still be read in the file."""
        self._file.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def close(self) -> None:
        self._file.commit()
        self._file.close()

    def _insert(self, table: str, values: dict[str, Any]) -> None:
        marks = ", ".join("?" * len(values))
        self._file.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
