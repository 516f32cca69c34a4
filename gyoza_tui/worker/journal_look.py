"""What another process may ask of a worker's journal; one that cannot be read knows nothing."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from gyoza_tui.worker.journal_file import set_aside_beside


def secrets_of(journal: Path, run_id: str) -> tuple[str, ...] | None:
    """The secret values of a run, also of one that only a journal set aside knows; None when none knows it."""
    journals = (journal, *set_aside_beside(journal))
    found = [row for each in journals for row in _look(each, "SELECT run FROM runs WHERE run_id = ?", run_id)]
    if not found:
        return None
    try:
        return tuple({str(value) for (run,) in found for value in json.loads(run).get("secret_env", {}).values()})
    except (ValueError, TypeError, AttributeError):  # damaged: its secrets are not known
        return None


def cleaned(journal: Path, name: str) -> bool | None:
    """Whether the attempt of that name is over and cleaned up; None for one that is not known."""
    found = _look(journal, "SELECT cleaned FROM runs WHERE name = ?", name)
    return bool(found[0][0]) if found else None


class OpenAttempt(NamedTuple):
    """One that has not ended, and what its backend remembers of it."""

    backend: str
    handle: dict[str, Any]


def open_attempts(journal: Path) -> list[OpenAttempt]:
    """Those that have something at their backend; what cannot be read is left out."""
    found = _look(journal, "SELECT backend, handle FROM runs WHERE outcome IS NULL AND handle IS NOT NULL")
    attempts = []
    for backend, text in found:
        with contextlib.suppress(ValueError):
            attempts.append(OpenAttempt(str(backend), dict(json.loads(text))))
    return attempts


class Step(NamedTuple):
    """A step of an attempt here, and when it began and ended: UTC seconds, None while it goes on."""

    name: str
    began_at: float
    ended_at: float | None


def steps_of(journal: Path, run_id: str) -> dict[int, list[Step]]:
    """The steps of each attempt of a run, as often as each was gone into."""
    found = _look(
        journal,
        "SELECT runs.attempt, steps.step, steps.began_at, runs.left_at FROM runs JOIN steps ON steps.run = runs.key"
        " WHERE runs.run_id = ? ORDER BY runs.key, steps.began_at, steps.rowid",
        run_id,
    )
    steps: dict[int, list[Step]] = {}
    for attempt, entries in groupby(found, key=itemgetter(0)):
        each = [(step, began_at, left_at) for _, step, began_at, left_at in entries]
        ends = [began_at for _, began_at, _ in each[1:]] + [each[-1][2]]
        steps[attempt] = [Step(step, began_at, end) for (step, began_at, _), end in zip(each, ends, strict=True)]
    return steps


def _look(journal: Path, query: str, *values: str) -> list[Any]:
    uri = f"{journal.as_uri()}?mode=ro"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
        return db.execute(query, values).fetchall()
    return []
