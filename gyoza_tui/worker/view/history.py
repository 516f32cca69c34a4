"""The attempts that are closed, read from the journal's file beside its writer: a long look holds no run up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.filters import RunFacts, RunFilter, op_name
from gyoza_tui.worker.journal.damage import UNREADABLE
from gyoza_tui.worker.journal.file import CLOSED, COLUMNS, row_of
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.view.control import ControlError, HistoryPage
from gyoza_tui.worker.view.run_views import RunViews
from gyoza_tui.worker.view.snapshot import RunView

_NEWEST_FIRST: Final = "ORDER BY outcome_at DESC, key DESC"
_FACTS: Final = (
    "key, run_id, outcome, outcome_note, last_line, outcome_at, json_extract(run, '$.image'),"
    " json_extract(run, '$.op_definition'), json_extract(run, '$.op_version'),"
    " json_extract(run, '$.event_delivery.topic'), json_extract(run, '$.parent_id')"
)


class RunHistory:
    """Of one worker. Every method waits for a disk and raises ControlError when that gives nothing."""

    def __init__(self, journal_file: Path, clock: Clock, worker_id: str, views: RunViews) -> None:
        self._file = journal_file
        self._clock = clock
        self._worker_id = worker_id
        self._views = views
        self._uri = f"{journal_file.absolute().as_uri()}?mode=ro"

    def page(self, wanted: RunFilter, limit: int) -> HistoryPage:
        """The closed attempts that match, at most `limit`, the one that ended last first."""
        with self._open() as db:
            keys = list(self._matching(db, wanted)) if wanted else _newest(db, limit)
            total = len(keys) if wanted else _count(db)
            rows = {row.key: row for row in _rows(db, keys[:limit])}
            entered = _entered(db, rows)
        views = [self._views.closed(rows[key], entered.get(key, {})) for key in keys[:limit] if key in rows]
        return HistoryPage(tuple(views), total)

    def view(self, key: int) -> RunView:
        """Of a closed attempt. KeyError when there is none of that key."""
        with self._open() as db:
            for row in _rows(db, [key]):
                return self._views.closed(row, _entered(db, [key]).get(key, {}))
        raise KeyError(key)

    def row(self, key: int) -> RunRow:
        """Of a closed attempt. KeyError when there is none of that key."""
        with self._open() as db:
            for row in _rows(db, [key]):
                return row
        raise KeyError(key)

    def _matching(self, db: sqlite3.Connection, wanted: RunFilter) -> Iterator[int]:
        now = self._clock.utc().timestamp()
        for found in db.execute(f"SELECT {_FACTS} FROM runs WHERE {CLOSED} {_NEWEST_FIRST}"):
            key, run_id, outcome, note, last_line, ended_at, image, definition, version, topic, parent = found
            facts = RunFacts(
                id=run_id,
                states=(outcome,),
                op=op_name(image, definition, version),
                image=image,
                note=f"{note} {last_line}",
                worker=self._worker_id,
                topic=topic or "",
                parent=parent or "",
                ended_at=ended_at,
            )
            if wanted.matches(facts, now):
                yield int(key)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._uri, uri=True)) as db:
                # one moment for all that is read: a run may be forgotten meanwhile
                db.execute("BEGIN")
                yield db
        except sqlite3.Error as error:
            raise ControlError(f"the history cannot be read from {self._file}: {error}") from None


def _newest(db: sqlite3.Connection, limit: int) -> list[int]:
    found = db.execute(f"SELECT key FROM runs WHERE {CLOSED} {_NEWEST_FIRST} LIMIT ?", (limit,))
    return [int(key) for (key,) in found]


def _count(db: sqlite3.Connection) -> int:
    (count,) = db.execute(f"SELECT count(*) FROM runs WHERE {CLOSED}").fetchone()
    return int(count)


def _rows(db: sqlite3.Connection, keys: Sequence[int]) -> list[RunRow]:
    query = f"SELECT {', '.join(COLUMNS)} FROM runs WHERE key IN (SELECT value FROM json_each(?))"
    rows = []
    for columns in db.execute(query, (json.dumps(keys),)):
        with suppress(*UNREADABLE):
            rows.append(row_of(columns))
    return rows


def _entered(db: sqlite3.Connection, keys: Iterable[int]) -> dict[int, dict[str, float]]:
    """The first entry of each step that they went into."""
    entered: dict[int, dict[str, float]] = {}
    query = (
        "SELECT run, step, CAST(min(began_at) AS REAL) FROM steps WHERE run IN (SELECT value FROM json_each(?))"
        " GROUP BY run, step"
    )
    found: Iterable[tuple[Any, ...]] = db.execute(query, (json.dumps(list(keys)),))
    for run, step, began_at in found:
        entered.setdefault(int(run), {})[str(step)] = float(began_at)
    return entered
