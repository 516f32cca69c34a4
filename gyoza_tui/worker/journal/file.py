"""The journal's file: its schema, how it is opened and found damaged, and how a row is written and read."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter

from gyoza_tui import private_files
from gyoza_tui.backends.base import Exit
from gyoza_tui.models.clock import MOMENT_MAX, Clock
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow

SCHEMA_VERSION: Final = 5

_SCHEMA = """
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id TEXT NOT NULL, run_id TEXT NOT NULL, attempt INTEGER NOT NULL, lease TEXT NOT NULL,
    run TEXT NOT NULL, name TEXT NOT NULL, backend TEXT NOT NULL, claimed_at REAL NOT NULL,
    intent TEXT NOT NULL DEFAULT 'none', intent_note TEXT NOT NULL DEFAULT '', by_server INTEGER NOT NULL DEFAULT 0,
    step TEXT NOT NULL DEFAULT '', create_asked INTEGER NOT NULL DEFAULT 0, handle TEXT,
    start_asked INTEGER NOT NULL DEFAULT 0,
    started_acked INTEGER NOT NULL DEFAULT 0, started_at REAL, timed_out INTEGER NOT NULL DEFAULT 0,
    filled_disk TEXT NOT NULL DEFAULT '', exit TEXT,
    parsed INTEGER NOT NULL DEFAULT 0,
    outcome TEXT, outcome_note TEXT NOT NULL DEFAULT '', outcome_at REAL,
    acked INTEGER NOT NULL DEFAULT 0, cleaned INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL DEFAULT 0,
    progress REAL, progress_at REAL, progress_from REAL, progress_since REAL, adopted INTEGER NOT NULL DEFAULT 0,
    last_line TEXT NOT NULL DEFAULT '', seen INTEGER NOT NULL DEFAULT 0, left_at REAL, frozen_since REAL,
    waiting_since REAL, waits_left INTEGER NOT NULL DEFAULT 0, waits_of INTEGER NOT NULL DEFAULT 0,
    waited_s REAL NOT NULL DEFAULT 0, freeze_by TEXT NOT NULL DEFAULT '', frozen_s REAL NOT NULL DEFAULT 0,
    thaw_asked INTEGER NOT NULL DEFAULT 0, server_wants_frozen INTEGER NOT NULL DEFAULT 0,
    freeze_untold INTEGER NOT NULL DEFAULT 0,
    UNIQUE (server_id, run_id, attempt, lease)
);
CREATE INDEX runs_open ON runs (acked, cleaned);
CREATE TABLE steps (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, step TEXT NOT NULL, began_at REAL NOT NULL);
CREATE INDEX steps_of_run ON steps (run);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    tried INTEGER NOT NULL DEFAULT 0, refused TEXT
);
CREATE INDEX outbox_waiting ON outbox (refused, run, id);
CREATE TABLE log_secrets (name TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (name, value));
CREATE TABLE wanted (server_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, answer TEXT NOT NULL);
"""

UPGRADES: Final = {
    1: """
ALTER TABLE runs ADD COLUMN progress REAL;
ALTER TABLE runs ADD COLUMN progress_at REAL;
ALTER TABLE runs ADD COLUMN progress_from REAL;
ALTER TABLE runs ADD COLUMN progress_since REAL;
ALTER TABLE runs ADD COLUMN adopted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN last_line TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN left_at REAL;
CREATE INDEX steps_of_run ON steps (run);
UPDATE runs SET seen = 1 WHERE outcome IS NOT NULL;
""",
    2: """
ALTER TABLE runs ADD COLUMN frozen_since REAL;
ALTER TABLE runs ADD COLUMN filled_disk TEXT NOT NULL DEFAULT '';
CREATE TABLE log_secrets (name TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (name, value));
""",
    3: """
CREATE TABLE wanted (server_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, answer TEXT NOT NULL);
""",
    4: """
ALTER TABLE runs ADD COLUMN waiting_since REAL;
ALTER TABLE runs ADD COLUMN waits_left INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN waits_of INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN waited_s REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN freeze_by TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN frozen_s REAL NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN thaw_asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN server_wants_frozen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN freeze_untold INTEGER NOT NULL DEFAULT 0;
""",
}
"""From each older version to the next."""

COLUMNS: Final = RunRow._fields
CLOSED: Final = "acked = 1 AND cleaned = 1"
"""`RunRow.closed`, in SQL."""
OPEN: Final = "(acked = 0 OR cleaned = 0)"
_HINTS: Final = get_type_hints(RunRow)
_FLAGS: Final = tuple(name for name, kind in _HINTS.items() if kind is bool)
_MOMENTS: Final = tuple(name for name, kind in _HINTS.items() if kind in (float, float | None))
"""And percentages, which are below the greatest moment too."""
_STORED_AS: Final = {name: int if kind in (int, bool) else str for name, kind in _HINTS.items()} | dict.fromkeys(
    _MOMENTS, float
)
_EXIT: Final = TypeAdapter(Exit)


class JournalError(Exception):
    """A journal that cannot be read; `str()` says why and what to do."""


class JournalClosed(BaseException):
    """The worker was closed: whatever thread of it asks the journal from here on ends by this, and does nothing else.

    Not an Exception: a run that fails by one would have its container stopped, which the next start is to adopt.
    """


class JournalFull(JournalError, OSError):
    """The disk has no room for it."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.errno = errno.ENOSPC


_NOT_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
    }
)


def primary_code(error: BaseException) -> int | None:
    """SQLite's primary code of an error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def no_room(error: BaseException) -> bool:
    """Whether SQLite failed for want of room, be it for the index that it shares between connections."""
    return (
        primary_code(error) == sqlite3.SQLITE_FULL
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_SHMSIZE
    )


def unusable(path: Path, error: Exception) -> JournalError:
    """What is raised for a journal that could not be opened."""
    return (JournalFull if no_room(error) else JournalError)(words(path, error))


def words(path: Path, error: Exception) -> str:
    if primary_code(error) in _NOT_DAMAGE:
        return f"the journal {path} cannot be opened now ({error}): look at the disk and the file's owner, start again"
    return (
        f"the journal {path} cannot be read ({error}). It was left as it is. "
        "Go on without it by --new-journal: runs that it knew are given back"
    )


def opened(path: Path) -> sqlite3.Connection:
    with contextlib.suppress(OSError):  # SQLite says why
        private_files.make_database(path)
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA secure_delete = ON")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise ValueError(f"written by a newer gyoza-tui, schema {version}; this one knows {SCHEMA_VERSION}")
    (damage,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if damage != "ok":
        raise ValueError(f"damaged: {damage}")
    changes = [_SCHEMA] if version == 0 else [UPGRADES[old] for old in range(version, SCHEMA_VERSION)]
    if changes:
        db.executescript(f"BEGIN IMMEDIATE; {''.join(changes)} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")


def set_aside(path: Path, clock: Clock) -> None:
    kept = _aside(path, clock)
    for suffix in private_files.SQLITE_SUFFIXES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(kept.with_name(kept.name + suffix))


def copy_aside(db: sqlite3.Connection, path: Path, clock: Clock) -> Path:
    """A copy of the journal as it is now."""
    kept = _aside(path, clock)
    kept.touch(mode=0o600)
    try:
        db.execute("VACUUM INTO ?", (str(kept),))
    except sqlite3.Error:
        kept.unlink()
        raise
    return kept


def _aside(path: Path, clock: Clock) -> Path:
    """A name that no file has: on a full disk a journal is begun several times within a second."""
    stem = f"{path.stem}-{clock.utc():%Y%m%dT%H%M%SZ}"
    names = (f"{stem}{f'-{number}' if number else ''}{path.suffix}" for number in itertools.count())
    return next(kept for name in names if not (kept := path.with_name(name)).exists())


def set_aside_beside(path: Path) -> list[Path]:
    """The journals that were set aside for the one at `path`."""
    return sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))


def row_of(columns: tuple[Any, ...], run: OpRun | None = None) -> RunRow:
    """The row of its columns; with `run` that one is not parsed."""
    found = dict(zip(COLUMNS, columns, strict=True))
    for name, value in found.items():
        if value is not None and not isinstance(value, _STORED_AS[name]):
            raise TypeError(f"{name} is not what was written there")
    for name in _MOMENTS:
        if not 0 <= (found[name] or 0) < MOMENT_MAX:
            raise ValueError(f"{name} is not what was written there")
    found["run"] = run or OpRun.model_validate_json(found["run"])
    found["intent"] = Intent(found["intent"])
    found["outcome"] = Outcome(found["outcome"]) if found["outcome"] else None
    found["handle"] = json.loads(found["handle"]) if found["handle"] else None
    if not isinstance(found["handle"], dict | None):
        raise TypeError("the handle is no object")
    found["exit"] = _EXIT.validate_json(found["exit"]) if found["exit"] else None
    for name in _FLAGS:
        found[name] = bool(found[name])
    return RunRow(**found)


_STORE: Final[dict[str, Callable[[Any], str]]] = {
    "handle": json.dumps,
    "exit": lambda ended: json.dumps(ended._asdict()),
}


def stored(name: str, value: Any) -> Any:
    return _STORE[name](value) if name in _STORE and value is not None else value
