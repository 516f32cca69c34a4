"""What another process may ask of a worker's journal; one that cannot be read knows nothing."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any


def secrets_of(journal: Path, run_id: str) -> tuple[str, ...]:
    """The secret values of a run."""
    found = _look(journal, "SELECT run FROM runs WHERE run_id = ?", run_id)
    return tuple({value for (run,) in found for value in json.loads(run).get("secret_env", {}).values()})


def cleaned(journal: Path, name: str) -> bool | None:
    """Whether the attempt of that name is over and cleaned up; None for one that is not known."""
    found = _look(journal, "SELECT cleaned FROM runs WHERE name = ?", name)
    return bool(found[0][0]) if found else None


def _look(journal: Path, query: str, value: str) -> list[Any]:
    uri = f"{journal.as_uri()}?mode=ro"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        return db.execute(query, (value,)).fetchall()
    return []
