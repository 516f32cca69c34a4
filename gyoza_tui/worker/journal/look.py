"""What another process may ask of a worker's journal; one that cannot be read knows nothing."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from gyoza_tui.models.steps import ended_in
from gyoza_tui.worker.journal import secrets as journal_secrets
from gyoza_tui.worker.journal.file import set_aside_beside
from gyoza_tui.worker.journal.row import Outcome


def secrets_of(journal: Path, run_id: str) -> tuple[str, ...] | None:
    """The secret values of a run, also of one that only a journal set aside knows; None when none knows it."""
    known = [_secrets_of(each, run_id) for each in (journal, *set_aside_beside(journal))]
    found = [values for values in known if values is not None]
    return tuple(set().union(*found)) if found else None


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


class StepTime(NamedTuple):
    """A step of an attempt here, and when it began and ended: UTC seconds, None while it goes on."""

    name: str
    began_at: float
    ended_at: float | None
    not_done: str = ""
    """The attempt's outcome, at the step in which it ended without success."""


def steps_of(journal: Path, run_id: str) -> dict[int, list[StepTime]]:
    """The steps of each attempt of a run, as often as each was gone into."""
    found = _look(
        journal,
        "SELECT runs.attempt, steps.step, steps.began_at, runs.left_at, runs.outcome"
        " FROM runs JOIN steps ON steps.run = runs.key"
        " WHERE runs.run_id = ? ORDER BY runs.key, steps.began_at, steps.rowid",
        run_id,
    )
    return {attempt: _steps(list(entries)) for attempt, entries in groupby(found, key=itemgetter(0))}


def _steps(entries: list[Any]) -> list[StepTime]:
    ends = [began_at for _, _, began_at, _, _ in entries[1:]] + [entries[-1][3]]
    steps = [StepTime(step, began_at, end) for (_, step, began_at, _, _), end in zip(entries, ends, strict=True)]
    outcome = entries[-1][4]
    last = None if outcome in (None, Outcome.COMPLETED) else ended_in(steps)
    return [step._replace(not_done=outcome) if step is last else step for step in steps]


def _secrets_of(journal: Path, run_id: str) -> set[str] | None:
    with contextlib.suppress(sqlite3.Error), _opened(journal) as db:
        return journal_secrets.of_run(db, run_id)
    return None


def _opened(journal: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True))


def _look(journal: Path, query: str, *values: str) -> list[Any]:
    with contextlib.suppress(sqlite3.Error), _opened(journal) as db:
        return db.execute(query, values).fetchall()
    return []
