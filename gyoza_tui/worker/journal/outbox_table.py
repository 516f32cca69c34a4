"""The outbox table of the journal: reports of each row, in the order in which they are sent."""

from __future__ import annotations

import sqlite3
from typing import Final

from gyoza_tui.models.runs import EventReport, RunPatch
from gyoza_tui.worker.journal.outbox import OutboxKind, OutboxRow

_WAITS: Final = "refused IS NULL"
_IS_STARTED: Final = f"{_WAITS} AND json_extract(body, '$.type') = 'STARTED'"


def queue(db: sqlite3.Connection, key: int, report: EventReport | RunPatch) -> None:
    """Add a report with the row's next number."""
    (seq,) = db.execute("UPDATE runs SET seq = seq + 1 WHERE key = ? RETURNING seq", (key,)).fetchone()
    kind = OutboxKind.of(report)
    body = report.model_copy(update={"seq": seq}) if kind is OutboxKind.EVENT else report
    db.execute(
        "INSERT INTO outbox (run, seq, kind, body) VALUES (?, ?, ?, ?)",
        (key, seq, kind, body.model_dump_json(exclude_none=True)),
    )


def load(db: sqlite3.Connection, key: int | None = None, limit: int = -1) -> list[OutboxRow]:
    """The first reports of one row that wait, or all of all rows."""
    of_row, values = ("", ()) if key is None else ("AND run = ?", (key,))
    found = db.execute(
        f"SELECT id, run, seq, kind, body, tried FROM outbox WHERE {_WAITS} {of_row} ORDER BY run, id LIMIT ?",
        (*values, limit),
    )
    return [OutboxRow.load(*columns) for columns in found.fetchall()]


def has_started(db: sqlite3.Connection, key: int) -> bool:
    """Whether a STARTED of the row waits."""
    return db.execute(f"SELECT 1 FROM outbox WHERE run = ? AND {_IS_STARTED}", (key,)).fetchone() is not None


def withdraw(db: sqlite3.Connection, key: int) -> int:
    """Delete what waits of a row; how many reports that were."""
    return db.execute(f"DELETE FROM outbox WHERE run = ? AND {_WAITS}", (key,)).rowcount


def withdraw_started(db: sqlite3.Connection, key: int) -> int:
    """Delete a STARTED of the row that was never tried; how many reports that were."""
    return db.execute(f"DELETE FROM outbox WHERE run = ? AND tried = 0 AND {_IS_STARTED}", (key,)).rowcount


def settle(db: sqlite3.Connection, row: OutboxRow, refused: str | None) -> int:
    """Take a report out of what waits: it was taken, or refused in these words; 0 when it did not wait."""
    if refused is None:
        return db.execute(f"DELETE FROM outbox WHERE id = ? AND {_WAITS}", (row.id,)).rowcount
    return db.execute(f"UPDATE outbox SET refused = ? WHERE id = ? AND {_WAITS}", (refused, row.id)).rowcount
