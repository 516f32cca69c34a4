"""Rows of a journal that cannot be read: each costs its own run, never the worker."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gyoza_tui.worker.journal.file import COLUMNS, OPEN, row_of
from gyoza_tui.worker.journal.outbox import OutboxRow

UNREADABLE: Final = (ValueError, TypeError, RecursionError)
"""What a row that holds something else than was written there raises."""
_WORDS: Final = (
    "{run_id}, attempt {attempt}: its row in the journal is damaged and was deleted; the journal as it was is kept in "
    "{kept}. If the run's container is still there, it is stopped and the run is given back"
)


def delete_unreadable(db: sqlite3.Connection, keep: Callable[[], Path]) -> tuple[str, ...]:
    """Delete the runs that are not closed and cannot be read, with their reports; a message for each.

    `keep` makes a copy of the journal first.
    """
    keys = set[int]()
    for key, *columns in db.execute(f"SELECT key, {', '.join(COLUMNS)} FROM runs WHERE {OPEN}"):
        try:
            row_of(tuple(columns))
        except UNREADABLE:
            keys.add(key)
    for report in db.execute("SELECT id, run, seq, kind, body, tried FROM outbox WHERE refused IS NULL"):
        try:
            OutboxRow.load(*report)
        except UNREADABLE:
            keys.add(report[1])
    kept = keep()
    messages = []
    for key in sorted(keys):
        run_id, attempt = db.execute("DELETE FROM runs WHERE key = ? RETURNING run_id, attempt", (key,)).fetchone()
        messages.append(_WORDS.format(run_id=run_id, attempt=attempt, kept=kept))
    return tuple(messages)
