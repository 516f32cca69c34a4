"""What the journal adds for views: steps, progress, who has looked, counts; and a file of the version before."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.models.workers import WantedAnswer, WantedReport
from gyoza_tui.worker.journal.file import SCHEMA_VERSION, UPGRADES
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.memory import Unseen
from gyoza_tui.worker.journal.progress import left_s
from gyoza_tui.worker.journal.row import Outcome, RunRow
from tests.clock import FakeClock

_VERSION_1 = """
CREATE TABLE runs (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id TEXT NOT NULL, run_id TEXT NOT NULL, attempt INTEGER NOT NULL, lease TEXT NOT NULL,
    run TEXT NOT NULL, name TEXT NOT NULL, backend TEXT NOT NULL, claimed_at REAL NOT NULL,
    intent TEXT NOT NULL DEFAULT 'none', intent_note TEXT NOT NULL DEFAULT '', by_server INTEGER NOT NULL DEFAULT 0,
    step TEXT NOT NULL DEFAULT '', create_asked INTEGER NOT NULL DEFAULT 0, handle TEXT,
    start_asked INTEGER NOT NULL DEFAULT 0,
    started_acked INTEGER NOT NULL DEFAULT 0, started_at REAL, timed_out INTEGER NOT NULL DEFAULT 0, exit TEXT,
    parsed INTEGER NOT NULL DEFAULT 0,
    outcome TEXT, outcome_note TEXT NOT NULL DEFAULT '', outcome_at REAL,
    acked INTEGER NOT NULL DEFAULT 0, cleaned INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL DEFAULT 0,
    UNIQUE (server_id, run_id, attempt, lease)
);
CREATE INDEX runs_open ON runs (acked, cleaned);
CREATE TABLE steps (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, step TEXT NOT NULL, began_at REAL NOT NULL);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    seq INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    tried INTEGER NOT NULL DEFAULT 0, refused TEXT
);
CREATE INDEX outbox_waiting ON outbox (refused, run, id);
"""
"""As gyoza-tui 0.1 made it."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, clock: FakeClock) -> Iterator[Journal]:
    made = Journal(path, clock)
    yield made
    made.close()


def _take(journal: Journal, run_id: str = "r1", attempt: int = 1) -> int:
    return journal.take("s", OpRun(id=run_id, image="op", attempt=attempt, lease="l1"), "docker").key


def _row(journal: Journal, key: int) -> RunRow:
    found = journal.get(key)
    assert found is not None
    return found


def _progress(percent: float) -> EventReport:
    return EventReport(type=EventType.PROGRESS, msg=percent)


def _end(journal: Journal, key: int, outcome: Outcome, *, closed: bool = True) -> None:
    journal.finish(key, outcome, "", [] if closed else [EventReport(type=EventType.FAILED)])
    if closed:
        journal.update(key, cleaned=True)


# The versions before


def _old_journal(path: Path, version: int) -> None:
    """Closed by its worker, as a new version finds it: one ended, one at work, in the steps of that time."""
    with sqlite3.connect(path) as db:
        db.executescript(f"PRAGMA journal_mode = WAL; {_VERSION_1}")
        for key, run_id, more in (
            (1, "old", {"outcome": "failed", "outcome_note": "op_error: exit 1", "outcome_at": 5.0, "acked": 1}),
            (2, "open", {"step": "run_container", "handle": '{"id": "c1"}', "started_at": 4.0, "exit": None}),
        ):
            run = OpRun(id=run_id, image="op", attempt=1, lease="l1", secret_env={"T": "secret"})
            columns: dict[str, Any] = {
                "key": key,
                "server_id": "s",
                "run_id": run_id,
                "attempt": 1,
                "lease": "l1",
                "run": run.model_dump_json(),
                "name": f"gyoza-{run_id}-1-l1",
                "backend": "docker",
                "claimed_at": 3.0,
                "cleaned": int("outcome" in more),
                **more,
            }
            names = ", ".join(columns)
            marks = ", ".join("?" * len(columns))
            db.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", tuple(columns.values()))
            db.execute("INSERT INTO steps VALUES (?, 'run_container', 3.5)", (key,))
        body = json.dumps({"type": "STARTED", "attempt": 1, "lease": "l1", "seq": 1})
        db.execute("INSERT INTO outbox (run, seq, kind, body) VALUES (2, 1, 'event', ?)", (body,))
        db.executescript("".join(UPGRADES[old] for old in range(1, version)) + f"PRAGMA user_version = {version}")
    db.close()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_journal_of_a_version_before_is_taken_over(path: Path, clock: FakeClock, version: int) -> None:
    _old_journal(path, version)
    journal = Journal(path, clock)
    (row,) = journal.rows()
    assert (row.run_id, row.step, row.handle, row.started_at) == ("open", "run_container", {"id": "c1"}, 4.0)
    assert row.run.secret_env == {"T": "secret"}
    assert (row.progress, row.seen, row.adopted, row.last_line) == (None, False, False, "")
    assert row.frozen_since is None
    assert row.filled_disk == ""
    assert [report.starts_run for report in journal.outbox()] == [True]
    assert journal.memory.steps(row.key) == {"run_container": 3.5}
    (closed,) = journal.closed(10)
    assert (closed.outcome, closed.seen) == (Outcome.FAILED, True), "nobody is bothered with what was before"
    assert journal.memory.unseen == Unseen(0, None)
    journal.events(row.key, [_progress(20)])
    _end(journal, row.key, Outcome.FAILED)
    assert journal.memory.unseen.number == 1
    assert journal.wanted_reports() == {}
    report = WantedReport(seq=1, answer=WantedAnswer.OVERRIDDEN)
    journal.keep_wanted_report("s", report)
    assert journal.wanted_reports() == {"s": report}
    journal.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    Journal(path, clock).close()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_taken_over_journal_has_the_columns_of_a_new_one(tmp_path: Path, clock: FakeClock, version: int) -> None:
    _old_journal(tmp_path / "old.db", version)
    for name in ("old.db", "new.db"):
        Journal(tmp_path / name, clock).close()
    shapes = []
    for name in ("old.db", "new.db"):
        with sqlite3.connect(tmp_path / name) as db:
            columns = {row[1:5] for table in ("runs", "wanted") for row in db.execute(f"PRAGMA table_info({table})")}
            indexes = set(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
            shapes.append((columns, indexes))
    assert shapes[0] == shapes[1]


# Steps


def test_the_first_entry_of_a_step_counts_also_after_a_restart(path: Path, clock: FakeClock, journal: Journal) -> None:
    key = _take(journal)
    began = clock.utc().timestamp()
    journal.begin_step(key, "prepare_inputs")
    clock.turn(3)
    journal.begin_step(key, "run_container")
    expected = {"prepare_inputs": began, "run_container": began + 3}
    assert journal.memory.steps(key) == expected
    clock.turn(60)
    journal.begin_step(key, "prepare_inputs")
    assert journal.memory.steps(key) == expected
    assert Journal(path, clock).memory.steps(key) == expected


def test_the_end_of_the_last_step_is_known_once_it_is_cleaned(journal: Journal, clock: FakeClock) -> None:
    key = _take(journal)
    journal.finish(key, Outcome.COMPLETED, "", [EventReport(type=EventType.COMPLETED, payload={})])
    assert _row(journal, key).left_at is None
    clock.turn(2)
    journal.update(key, cleaned=True)
    assert _row(journal, key).left_at == clock.utc().timestamp()


# Progress


def test_time_left_goes_by_the_pace_since_the_first_word(journal: Journal, clock: FakeClock, path: Path) -> None:
    key = _take(journal)
    journal.events(key, [_progress(10)])
    assert (_row(journal, key).progress, left_s(_row(journal, key))) == (10, None)
    clock.turn(30)
    journal.events(key, [_progress(25)])
    assert left_s(_row(journal, key)) == pytest.approx(150)
    (again,) = Journal(path, clock).rows()
    assert again == _row(journal, key)
    clock.turn(10)
    journal.events(key, [_progress(100)])
    assert left_s(_row(journal, key)) == 0


def test_an_op_that_begins_anew_has_a_pace_of_its_own(journal: Journal, clock: FakeClock) -> None:
    key = _take(journal)
    for percent in (0, 90, 5):
        journal.events(key, [_progress(percent)])
        clock.turn(10)
    assert left_s(_row(journal, key)) is None
    journal.events(key, [_progress(10)])
    assert left_s(_row(journal, key)) == pytest.approx(180)


def test_of_several_words_at_once_the_last_counts(journal: Journal) -> None:
    key = _take(journal)
    journal.events(key, [_progress(1), _progress(2), EventReport(type=EventType.INFO, msg="x"), _progress(3)], parsed=9)
    row = _row(journal, key)
    assert (row.progress, row.progress_from, row.parsed) == (3, 1, 9)
    assert left_s(row) is None, "no time has passed between them"


# Who has looked, and counts


def test_failures_are_unseen_until_somebody_looks(journal: Journal, clock: FakeClock, path: Path) -> None:
    keys = [_take(journal, f"r{number}") for number in range(3)]
    first = clock.utc().timestamp()
    _end(journal, keys[0], Outcome.FAILED)
    clock.turn(5)
    _end(journal, keys[1], Outcome.FAILED, closed=False)
    _end(journal, keys[2], Outcome.COMPLETED)
    assert journal.memory.unseen == Unseen(2, first)
    assert Journal(path, clock).memory.unseen == Unseen(2, first)
    assert journal.seen(keys[0])
    assert journal.memory.unseen == Unseen(1, first + 5)
    assert journal.seen(keys[1])
    assert _row(journal, keys[1]).seen
    assert journal.memory.unseen == Unseen(0, None)
    assert Journal(path, clock).memory.unseen == Unseen(0, None)
    assert not journal.seen(999)


def test_an_attempt_that_is_tried_again_needs_nobody(journal: Journal) -> None:
    first = _take(journal, "again")
    _end(journal, first, Outcome.FAILED)
    other = _take(journal, "other")
    _end(journal, other, Outcome.FAILED)
    assert journal.memory.unseen.number == 2
    second = _take(journal, "again", attempt=2)
    assert journal.memory.unseen.number == 1
    _end(journal, second, Outcome.FAILED)
    assert journal.memory.unseen.number == 2


def test_looking_at_a_run_at_work_is_not_looking_at_its_end(journal: Journal) -> None:
    key = _take(journal)
    assert journal.seen(key)
    _end(journal, key, Outcome.FAILED)
    assert journal.memory.unseen.number == 1


def test_what_ended_is_counted_whatever_becomes_of_the_row(journal: Journal, clock: FakeClock, path: Path) -> None:
    def same() -> dict[Outcome, int]:
        counted = {outcome: n for outcome, n in journal.memory.outcomes.items() if n}
        assert counted == {o: n for o, n in Journal(path, clock).memory.outcomes.items() if n}
        return counted

    failed = _take(journal, "f")
    _end(journal, failed, Outcome.FAILED, closed=False)
    assert same() == {Outcome.FAILED: 1}
    journal.settled(journal.outbox())
    journal.update(failed, cleaned=True)
    refused = _take(journal, "c")
    _end(journal, refused, Outcome.COMPLETED, closed=False)
    journal.update(refused, outcome=Outcome.FAILED, outcome_note="the server does not take the outputs")
    assert same() == {Outcome.FAILED: 2}
    _end(journal, _take(journal, "x"), Outcome.LOST)
    assert same() == {Outcome.FAILED: 2, Outcome.LOST: 1}
    clock.turn(100)
    journal.forget([name for name, _ in journal.ended()])
    assert same() == {Outcome.FAILED: 1}, "what is not closed stays"
    assert journal.memory.unseen.number == 1


def test_a_run_is_counted_once_however_often_it_was_tried(journal: Journal, clock: FakeClock, path: Path) -> None:
    def same() -> dict[Outcome, int]:
        counted = {outcome: n for outcome, n in journal.memory.outcomes.items() if n}
        assert counted == {o: n for o, n in Journal(path, clock).memory.outcomes.items() if n}
        return counted

    _end(journal, _take(journal, "other"), Outcome.FAILED)
    first = _take(journal)
    _end(journal, first, Outcome.FAILED, closed=False)
    assert same() == {Outcome.FAILED: 2}
    second = _take(journal, attempt=2)
    assert same() == {Outcome.FAILED: 1}, "it is tried again"
    journal.settled(journal.outbox())
    journal.update(first, cleaned=True)
    assert same() == {Outcome.FAILED: 1}
    third = _take(journal, attempt=3)
    _end(journal, second, Outcome.LOST)
    assert same() == {Outcome.FAILED: 1}, "an attempt that ends after a later one was taken on"
    _end(journal, third, Outcome.COMPLETED)
    assert same() == {Outcome.FAILED: 1, Outcome.COMPLETED: 1}


def test_an_attempt_taken_again_is_counted_once(journal: Journal, path: Path, clock: FakeClock) -> None:
    _end(journal, _take(journal), Outcome.RELEASED)
    _end(journal, _take(journal), Outcome.RELEASED)
    assert journal.memory.outcomes == {Outcome.RELEASED: 1}


def test_the_version_of_the_history_grows_with_what_it_would_answer(journal: Journal, clock: FakeClock) -> None:
    versions = [journal.memory.version]

    def grown() -> bool:
        versions.append(journal.memory.version)
        return versions[-1] > versions[-2]

    key = _take(journal)
    journal.begin_step(key, "prepare_inputs")
    journal.finish(key, Outcome.FAILED, "", [])
    assert not grown()
    journal.update(key, cleaned=True)
    assert grown()
    journal.seen(key)
    assert grown()
    clock.turn(10)
    journal.forget([name for name, _ in journal.ended()])
    assert grown()
    journal.forget([name for name, _ in journal.ended()])
    assert not grown()
