"""The secret values in a journal. They are kept as long as the raw log that may hold them, and then erased.

They are in the row of their run, and in `log_secrets` where another row has taken the place of that one: an attempt
that is handed out again writes to the same log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

_HAS_SECRETS: Final = "CASE WHEN json_valid(run) THEN json_type(run, '$.secret_env') IS NOT NULL ELSE run != '' END"
_WITHOUT_SECRETS: Final = "CASE WHEN json_valid(run) THEN json_remove(run, '$.secret_env') ELSE '' END"
"""Nothing is left of a damaged one."""
_OF_RUN: Final = "FROM runs, json_each(runs.run, '$.secret_env')"


def keep(db: sqlite3.Connection, name: str) -> None:
    """Remember the values of the attempt's row, which is about to be replaced, for its log."""
    db.execute(f"INSERT OR IGNORE INTO log_secrets SELECT name, value {_OF_RUN} WHERE name = ?", (name,))


def erase(db: sqlite3.Connection, names: Iterable[str]) -> None:
    """Erase what is remembered for logs that are gone."""
    db.executemany("DELETE FROM log_secrets WHERE name = ?", [(name,) for name in names])


def erase_from_run(db: sqlite3.Connection, key: int) -> None:
    """Erase the values in a row whose attempt has no log."""
    db.execute(f"UPDATE runs SET run = {_WITHOUT_SECRETS} WHERE key = ?", (key,))


def empty_log(db: sqlite3.Connection) -> None:
    """Overwrite the write-ahead log, where erased values would still be readable; a reader may delay that."""
    with suppress(sqlite3.OperationalError):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def erase_set_aside(journal: Path, logs: Collection[str]) -> None:
    """Erase what has none of these logs in a journal that was set aside, as far as it can be read and written."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(journal, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON")
        found = db.execute(f"SELECT key, name FROM runs WHERE {_HAS_SECRETS}").fetchall()
        for key, name in found:
            if name not in logs:
                erase_from_run(db, key)
        with suppress(sqlite3.Error):  # written before there was such a table
            erase(db, {name for (name,) in db.execute("SELECT name FROM log_secrets")}.difference(logs))
        empty_log(db)


def of_run(db: sqlite3.Connection, run_id: str) -> set[str] | None:
    """The values of all attempts of a run; None when the journal does not know it."""
    if db.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone() is None:
        return None
    found = db.execute(f"SELECT value {_OF_RUN} WHERE run_id = ?", (run_id,)).fetchall()
    with suppress(sqlite3.Error):  # written before there was such a table
        query = "SELECT value FROM log_secrets WHERE name IN (SELECT name FROM runs WHERE run_id = ?)"
        found += db.execute(query, (run_id,)).fetchall()
    return {str(value) for (value,) in found}
