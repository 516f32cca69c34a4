"""The journal: what is on disk when, what a damaged one does, and the outbox."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gyoza_tui.backends.base import Exit
from gyoza_tui.models.runs import EventReport, OpRun, RunPatch
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.worker.journal.file import SCHEMA_VERSION, JournalClosed, JournalError, copy_aside, set_aside_beside
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.outbox import OutboxRow
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.state_dir.state_dir import attempt_name
from tests.clock import FakeClock
from tests.syncs import syncs
from tests.waiting import until


def _run(run_id: str = "r1", attempt: int = 1, lease: str | None = "lease-1") -> OpRun:
    return OpRun(id=run_id, image="op", attempt=attempt, lease=lease, inputs={"a": 1}, secret_env={"TOKEN": "t"})


def _info(text: str = "hello") -> EventReport:
    return EventReport(type=EventType.INFO, msg=text, attempt=1, lease="lease-1")


def _end(kind: EventType = EventType.COMPLETED) -> EventReport:
    return EventReport(type=kind, payload={} if kind is EventType.COMPLETED else None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path, FakeClock())
    yield made
    made.close()


def _reopened(path: Path) -> Journal:
    """As a next start finds it: a second connection, while the first was never closed."""
    return Journal(path, FakeClock())


def _told(rows: list[OutboxRow]) -> list[tuple[str, int]]:
    return [(row.event.type if row.event else "PATCH", row.seq) for row in rows]


# Rows


def test_a_taken_run_is_on_disk_as_it_was_claimed(journal: Journal, path: Path) -> None:
    row = journal.take("server", _run(), "docker")
    assert row.name == "gyoza-r1-1-lease_1"
    (found,) = _reopened(path).rows()
    assert found == row
    assert (found.run.inputs, found.run.secret_env) == ({"a": 1}, {"TOKEN": "t"})


def test_every_change_is_on_disk_when_the_call_returns(journal: Journal, path: Path) -> None:
    key = journal.take("server", _run(), "docker").key
    ended = Exit(137, "SIGKILL", oom=True, warning="w", started_at=1.5, finished_at=2.5)
    journal.update(key, create_asked=True, handle={"id": "c", "volumes": ["v"]}, started_at=3.25, exit=ended)
    journal.begin_step(key, "run_container")
    assert journal.intend(key, Intent.CANCEL, "why", by_server=True)
    found = _reopened(path).get(key)
    assert found == journal.get(key)
    assert found is not None
    assert (found.handle, found.exit, found.step) == ({"id": "c", "volumes": ["v"]}, ended, "run_container")
    assert (found.intent, found.intent_note, found.by_server) == (Intent.CANCEL, "why", True)


def test_every_entry_into_a_step_is_kept(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    for step in ("prepare_inputs", "run_container", "run_container"):
        journal.begin_step(key, step)
    assert [step for step, _ in journal.steps(key)] == ["prepare_inputs", "run_container", "run_container"]


def test_an_attempt_that_is_tried_for_days_does_not_fill_the_journal(journal: Journal) -> None:
    first, second = (journal.take("server", _run(name), "docker").key for name in ("r1", "r2"))
    for _ in range(1010):
        journal.begin_step(first, "run_container")
    journal.begin_step(first, "complete_oprun")
    journal.begin_step(second, "run_container")
    assert (len(journal.steps(first)), len(journal.steps(second))) == (1000, 1)
    row = journal.get(first)
    assert row is not None
    assert row.step == "complete_oprun"


def test_rows_differ_by_server_attempt_and_lease(journal: Journal) -> None:
    keys = {
        journal.take(server, _run(attempt=attempt, lease=lease), "docker").key
        for server in ("s1", "s2")
        for attempt in (1, 2)
        for lease in ("l1", "l2", None)
    }
    assert len(keys) == 12
    with pytest.raises(sqlite3.IntegrityError):
        journal.take("s1", _run(lease="l1"), "docker")
    found = journal.find("s2", "r1", 2, "l2")
    assert found is not None
    assert (found.server_id, found.attempt, found.lease) == ("s2", 2, "l2")
    assert journal.find("s2", "r1", 2) is not None
    assert journal.find("s3", "r1", 2) is None


def test_a_later_intent_outranks_and_never_goes_back(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    assert journal.intend(key, Intent.RELEASE, "released")
    assert not journal.intend(key, Intent.CANCEL, "too late")
    assert not journal.intend(key, Intent.RELEASE, "again")
    assert journal.intend(key, Intent.LOST, "lost")
    journal.finish(key, Outcome.LOST, "", [])
    assert not journal.intend(key, Intent.LOST, "after the end")


def test_a_closed_row_makes_room_for_the_same_attempt(journal: Journal) -> None:
    first = journal.take("server", _run(lease=None), "docker")
    journal.finish(first.key, Outcome.RELEASED, "full", [])
    journal.update(first.key, cleaned=True)
    assert journal.rows() == ()
    second = journal.take("server", _run(lease=None), "docker")
    assert second.key > first.key
    assert journal.rows() == (second,)


# The outbox


def test_seq_counts_from_one_per_row_and_goes_on_after_a_restart(journal: Journal, path: Path) -> None:
    one = journal.take("server", _run("r1"), "docker").key
    two = journal.take("server", _run("r2"), "docker").key
    journal.start(one, EventReport(type=EventType.STARTED))
    journal.events(two, [_info(), _info()])
    journal.events(one, [_info()])
    assert [(row.run, row.seq) for row in journal.outbox()] == [(one, 1), (one, 2), (two, 1), (two, 2)]
    journal.settled(journal.outbox())
    again = _reopened(path)
    again.finish(one, Outcome.COMPLETED, "", [_end()])
    assert _told(again.outbox()) == [("COMPLETED", 3)]
    sent = again.outbox()[0].event
    assert sent is not None
    assert sent.seq == 3


def test_events_and_how_far_the_output_is_parsed_are_one_transaction(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = journal.take("server", _run(), "docker").key
    journal.events(key, [_info("one")], parsed=10)
    monkeypatch.setattr(journal, "_set", _broken)
    with pytest.raises(ZeroDivisionError):
        journal.events(key, [_info("two")], parsed=20)
    found = _reopened(path)
    assert found.rows()[0].parsed == 10
    assert _told(found.outbox()) == [("INFO", 1)]


def _broken(*_: object) -> None:
    raise ZeroDivisionError


def test_started_waits_once(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    for _ in range(3):
        journal.start(key, EventReport(type=EventType.STARTED))
    (started,) = journal.outbox()
    journal.settled([started])
    row = journal.get(key)
    assert row is not None
    assert row.started_acked


@pytest.mark.parametrize("outcome", [Outcome.CANCELLED, Outcome.RELEASED])
@pytest.mark.parametrize("tried", [False, True])
def test_a_started_never_tried_is_withdrawn(journal: Journal, outcome: Outcome, *, tried: bool) -> None:
    key = journal.take("server", _run(), "docker").key
    journal.start(key, EventReport(type=EventType.STARTED))
    if tried:
        journal.tried([row.id for row in journal.outbox()])
    report = RunPatch(state=RunState.PENDING) if outcome is Outcome.RELEASED else _end(EventType.CANCELLED)
    journal.finish(key, outcome, "", [report])
    told = [kind for kind, _ in _told(journal.outbox())]
    assert told == (["STARTED"] if tried else []) + ["PATCH" if outcome is Outcome.RELEASED else "CANCELLED"]


def test_lost_deletes_what_was_to_be_reported(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    journal.start(key, EventReport(type=EventType.STARTED))
    journal.events(key, [_info()])
    assert journal.waiting == 2
    journal.finish(key, Outcome.LOST, "newer attempt", [])
    assert (journal.outbox(), journal.waiting) == ([], 0)
    row = journal.get(key)
    assert row is not None
    assert row.acked


def test_lost_comes_too_late_for_a_result_on_disk(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    assert journal.finish(key, Outcome.COMPLETED, "exit 0", [_end()])
    assert not journal.intend(key, Intent.LOST, "too late")
    assert not journal.finish(key, Outcome.LOST, "too late", [])
    assert _told(journal.outbox()) == [("COMPLETED", 1)]


def test_nothing_is_queued_behind_the_end(journal: Journal) -> None:
    """A stopped container's last output is read after CANCELLED is on record: it must not follow it."""
    key = journal.take("server", _run(), "docker").key
    journal.finish(key, Outcome.CANCELLED, "", [_end(EventType.CANCELLED)])
    journal.events(key, [_info("late")], parsed=99)
    journal.start(key, EventReport(type=EventType.STARTED))
    assert _told(journal.outbox()) == [("CANCELLED", 1)]
    journal.settled(journal.outbox())
    journal.update(key, cleaned=True)
    journal.events(key, [_info("later still")], parsed=100)
    assert journal.waiting == 0


def test_a_refused_end_ends_the_row_and_keeps_the_words(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    journal.finish(key, Outcome.COMPLETED, "exit 0", [_end()])
    journal.update(key, cleaned=True)
    journal.settled(journal.outbox(), refused="409 not yours")
    assert journal.rows() == ()
    assert journal.outbox() == []
    assert journal.refusals(key) == ["409 not yours"]
    assert [row.key for row in journal.closed(10)] == [key]


def test_a_replaced_report_goes_out_in_its_place(journal: Journal) -> None:
    key = journal.take("server", _run(), "docker").key
    journal.finish(key, Outcome.FAILED, "", [_end(EventType.FAILED)])
    (failed,) = journal.outbox()
    assert failed.event is not None
    journal.replace(failed, [EventReport(type=EventType.STARTED), failed.event])
    assert _told(journal.outbox()) == [("STARTED", 2), ("FAILED", 3)]


def test_forget_takes_only_what_is_closed_and_old(path: Path) -> None:
    clock = FakeClock()
    journal = Journal(path, clock)
    keys = []
    for name in ("old", "open", "unacked", "young"):
        key = journal.take("server", _run(name), "docker").key
        keys.append(key)
        if name != "open":
            journal.finish(key, Outcome.COMPLETED, "", [_end()] if name == "unacked" else [])
            journal.update(key, cleaned=True)
        journal.events(key, [_info()])
        clock.turn(100)
    assert [name for name, _ in journal.ended()] == ["gyoza-young-1-lease_1", "gyoza-old-1-lease_1"]
    journal.forget(["gyoza-old-1-lease_1", "gyoza-open-1-lease_1", "gyoza-unacked-1-lease_1"])
    assert [name for name, _ in journal.ended()] == ["gyoza-young-1-lease_1"]
    assert [row.run_id for row in journal.rows()] == ["open", "unacked"]
    assert journal.known("gyoza-young-1-lease_1")
    assert not journal.known("gyoza-old-1-lease_1")
    assert journal.steps(keys[0]) == []


# Damage


def _filled(path: Path, rows: int = 40) -> None:
    journal = Journal(path, FakeClock())
    for number in range(rows):
        key = journal.take("server", _run(f"r{number}"), "docker").key
        journal.events(key, [_info("x" * 200)])
    journal.close()


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_are_told_in_words_or_do_no_harm(path: Path, seed: int) -> None:
    _filled(path)
    random_of = random.Random(seed)
    damaged = bytearray(path.read_bytes())
    for _ in range(4):
        at = random_of.randrange(100, len(damaged) - 600)
        damaged[at : at + 512] = random_of.randbytes(512)
    path.write_bytes(bytes(damaged))
    told = _trouble_of(path)
    if told is not None:
        assert "--new-journal" in told
        assert str(path) in told
        assert path.read_bytes() == damaged


def _trouble_of(path: Path) -> str | None:
    try:
        Journal(path, FakeClock()).close()
    except JournalError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not a database at all\n" * 100, id="text"),
        pytest.param(random.Random(1).randbytes(8192), id="noise"),
        pytest.param(b"SQLite format 3\0" + random.Random(2).randbytes(9000), id="noise behind a header"),
    ],
)
def test_what_is_no_journal_is_kept_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match="cannot be read"):
        Journal(path, FakeClock())
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE outbox",
        "ALTER TABLE runs DROP COLUMN parsed",
    ],
)
def test_tables_that_cannot_be_understood_are_damage(path: Path, damage: str) -> None:
    _filled(path, rows=2)
    with sqlite3.connect(path) as db:
        db.execute(damage)
    db.close()
    with pytest.raises(JournalError, match="--new-journal"):
        Journal(path, FakeClock())


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET run = '{\"id\": 7' WHERE key = 2",
        "UPDATE runs SET run = '' WHERE key = 2",
        "UPDATE runs SET run = x'00ff' WHERE key = 2",
        "UPDATE runs SET exit = '[1, 2]' WHERE key = 2",
        "UPDATE runs SET exit = '{\"unheard_of\": 1}' WHERE key = 2",
        "UPDATE runs SET handle = '7' WHERE key = 2",
        "UPDATE runs SET handle = replace(hex(zeroblob(50000)), '00', '[') WHERE key = 2",
        "UPDATE runs SET intent = 'dance' WHERE key = 2",
        "UPDATE runs SET outcome = 'dance' WHERE key = 2",
        'UPDATE outbox SET body = \'{"type": "DANCE"}\' WHERE run = 2',
        "UPDATE outbox SET body = '' WHERE run = 2",
        "UPDATE outbox SET kind = 'dance' WHERE run = 2",
        "UPDATE outbox SET seq = 'x' WHERE run = 2",
        "UPDATE outbox SET tried = 'x' WHERE run = 2",
        'UPDATE runs SET exit = \'{"code": "x"}\' WHERE key = 2',
        "UPDATE runs SET claimed_at = 'x' WHERE key = 2",
        "UPDATE runs SET claimed_at = 9e18 WHERE key = 2",
        "UPDATE runs SET progress_at = -9e999 WHERE key = 2",
        "UPDATE runs SET parsed = 'x' WHERE key = 2",
        "UPDATE runs SET name = x'00' WHERE key = 2",
        "UPDATE runs SET outcome = 'failed', outcome_at = 'x' WHERE key = 2",
    ],
)
def test_a_row_that_cannot_be_understood_costs_its_run_alone(path: Path, damage: str) -> None:
    _filled(path, rows=3)
    with sqlite3.connect(path) as db:
        db.execute(damage)
    db.close()
    journal = Journal(path, FakeClock())
    assert [row.run_id for row in journal.rows()] == ["r0", "r2"]
    assert {report.run for report in journal.outbox()} == {1, 3}
    assert not journal.known(attempt_name("r1", 1, "lease_1")), "its container is one without a row"
    (words,) = journal.damage
    assert words.startswith("r1, attempt 1: its row in the journal is damaged")
    (kept,) = set_aside_beside(path)
    assert str(kept) in words
    assert kept.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(kept) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (3,)
    db.close()
    journal.close()
    again = Journal(path, FakeClock())
    assert again.damage == ()
    again.close()


@pytest.mark.parametrize("damage", ["run = 'x', outcome = 'dance'", "outcome_at = 'x'", "claimed_at = 'x'"])
def test_a_damaged_row_of_the_history_is_left_out(path: Path, damage: str) -> None:
    _filled(path, rows=3)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM outbox")
        db.execute("UPDATE runs SET acked = 1, cleaned = 1, outcome = 'failed', outcome_at = key")
        db.execute(f"UPDATE runs SET {damage} WHERE key = 2")
    db.close()
    journal = Journal(path, FakeClock())
    assert [row.run_id for row in journal.closed(10)] == ["r2", "r0"]
    assert len(journal.ended()) == 3, "its log is removed some day"
    assert journal.damage == ()
    journal.close()


def test_what_is_closed_or_refused_is_left_as_it_is_when_another_row_is_damaged(path: Path) -> None:
    _filled(path, rows=3)
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM outbox WHERE run = 1")
        db.execute("UPDATE runs SET acked = 1, cleaned = 1, outcome = 'failed', claimed_at = 'x' WHERE key = 1")
        db.execute("UPDATE runs SET handle = '7' WHERE key = 2")
        db.execute("UPDATE outbox SET refused = 'no', body = 'x' WHERE run = 3")
    db.close()
    journal = Journal(path, FakeClock())
    assert [row.run_id for row in journal.rows()] == ["r2"]
    assert [words.partition(",")[0] for words in journal.damage] == ["r1"]
    assert len(journal.ended()) == 1
    assert journal.refusals(3) == ["no"]
    journal.close()


def test_a_damaged_time_of_a_step_is_as_none(path: Path) -> None:
    journal = Journal(path, FakeClock())
    key = journal.take("server", _run("r1"), "docker").key
    journal.begin_step(key, "run_container")
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE steps SET began_at = 'x'")
    db.close()
    journal = Journal(path, FakeClock())
    assert journal.memory.steps(key) == {"run_container": 0.0}
    journal.close()


def test_a_newer_schema_is_refused_and_kept(path: Path) -> None:
    _filled(path, rows=1)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    content = path.read_bytes()
    with pytest.raises(JournalError, match=f"schema {SCHEMA_VERSION + 1}; this one knows {SCHEMA_VERSION}"):
        Journal(path, FakeClock())
    assert path.read_bytes() == content


def test_a_journal_that_cannot_be_opened_is_not_called_damaged(path: Path) -> None:
    path.mkdir()
    with pytest.raises(JournalError) as told:
        Journal(path, FakeClock())
    assert "--new-journal" not in str(told.value)


def test_a_new_journal_sets_the_old_one_aside(path: Path) -> None:
    path.write_bytes(b"damaged" * 1000)
    made = Journal(path, FakeClock(), new=True)
    assert made.rows() == ()
    made.take("server", _run(), "docker")
    aside = [file for file in path.parent.iterdir() if file.name.startswith("journal-")]
    assert [file.read_bytes() for file in aside] == [b"damaged" * 1000]


def test_of_two_journals_set_aside_in_one_second_both_are_kept(path: Path) -> None:
    """As on a full disk, where the new one is begun again once there is room for it."""
    path.write_bytes(b"damaged" * 1000)
    for _ in range(3):
        Journal(path, FakeClock(), new=True).close()
    aside = set_aside_beside(path)
    assert len(aside) == 3
    assert b"damaged" * 1000 in [file.read_bytes() for file in aside]


def test_a_copy_that_could_not_be_made_is_not_kept(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")  # one of the reasons for which there is no copy
    with pytest.raises(sqlite3.Error):
        copy_aside(db, path, FakeClock())
    db.close()
    assert set_aside_beside(path) == []


# Disks and threads


def test_a_full_disk_fails_one_call_and_not_the_journal(journal: Journal, path: Path) -> None:
    key = journal.take("server", _run(), "docker").key
    (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(OSError, match="No space left"):
        journal.events(key, [_info("x" * 60_000)])
    journal._db.execute("PRAGMA max_page_count = 1000000")
    kept = len(journal.outbox())
    journal.events(key, [_info("there is room again")])
    assert journal.waiting == kept + 1
    assert len(_reopened(path).outbox()) == kept + 1


def test_readers_never_wait_for_a_writer(journal: Journal) -> None:
    """A beat reads the rows while a transaction hangs on the disk."""
    journal.take("server", _run(), "docker")
    inside, go = threading.Event(), threading.Event()

    def write() -> None:
        with journal._transaction():
            inside.set()
            go.wait(20)

    writer = threading.Thread(target=write)
    writer.start()
    assert inside.wait(20)
    assert len(journal.rows()) == 1
    assert journal.waiting == 0
    go.set()
    writer.join()


def test_whatever_asks_after_the_close_ends_by_what_fails_no_run(path: Path) -> None:
    """An error would make a slot thread stop the container that the next start is to adopt."""
    journal = Journal(path, FakeClock())
    key = journal.take("server", _run(), "docker").key
    journal.close()
    journal.close()
    asked: list[Callable[[], object]] = [
        lambda: journal.update(key, parsed=1),
        lambda: journal.finish(key, Outcome.FAILED, "", []),
        journal.outbox,
        lambda: journal.steps(key),
        journal.check_open,
    ]
    for ask in asked:
        with pytest.raises(JournalClosed):
            ask()
    assert not issubclass(JournalClosed, Exception)
    assert [row.key for row in journal.rows()] == [key], "what is read from memory is still there"


_WRITER = """
import sys
from pathlib import Path
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Outcome
journal = Journal(Path(sys.argv[1]), SystemClock())
for number in range(100000):
    key = journal.take("server", OpRun(id=f"r{number}", image="op", attempt=1, lease="l"), "docker").key
    journal.events(key, [EventReport(type=EventType.INFO, msg="x" * 500)], parsed=7)
    journal.finish(key, Outcome.COMPLETED, "", [EventReport(type=EventType.COMPLETED, payload={})])
    print(number, flush=True)
"""


def test_kill_9_in_the_middle_of_writing_loses_nothing_that_returned(path: Path) -> None:
    for _ in range(3):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == 25:
                writer.send_signal(signal.SIGKILL)
        writer.wait()
        journal = Journal(path, FakeClock())
        finished = [row for row in journal.rows() if row.outcome is Outcome.COMPLETED]
        assert len(finished) >= 26
        half = [row for row in journal.rows() if row.outcome is None]
        assert len(half) <= 1
        assert all(row.parsed == 7 for row in finished)
        reports = Counter(row.run for row in journal.outbox())
        assert [reports[row.key] for row in finished] == [2] * len(finished)
        assert all((reports[row.key] == 1) == (row.parsed == 7) for row in half)
        for file in path.parent.iterdir():
            file.unlink()


# Whatever is done to it, memory and disk say the same


class JournalMachine(RuleBasedStateMachine):
    """Random histories; a second connection reads what is on disk after each step."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory()
        self.path = Path(self._home.name) / "journal.db"
        self.journal = Journal(self.path, FakeClock())
        self.count = 0

    def teardown(self) -> None:
        self.journal.close()
        self._home.cleanup()

    @rule(target=keys)
    def take(self) -> int:
        self.count += 1
        return self.journal.take("server", _run(f"r{self.count}"), "docker").key

    @rule(key=keys, count=st.integers(0, 3))
    def events(self, key: int, count: int) -> None:
        self.journal.events(key, [_info()] * count, parsed=count)

    @rule(key=keys)
    def start(self, key: int) -> None:
        self.journal.start(key, EventReport(type=EventType.STARTED))

    @rule(key=keys, intent=st.sampled_from(list(Intent)))
    def intend(self, key: int, intent: Intent) -> None:
        self.journal.intend(key, intent, "")

    @rule(key=keys, outcome=st.sampled_from([Outcome.COMPLETED, Outcome.CANCELLED, Outcome.LOST]))
    def finish(self, key: int, outcome: Outcome) -> None:
        kinds = {Outcome.COMPLETED: EventType.COMPLETED, Outcome.CANCELLED: EventType.CANCELLED}
        self.journal.finish(key, outcome, "", [_end(kinds[outcome])] if outcome in kinds else [])

    @rule(key=keys)
    def clean(self, key: int) -> None:
        row = self.journal.get(key)
        if row is not None and row.outcome is not None:
            self.journal.update(key, cleaned=True)

    @rule(count=st.integers(1, 4), refused=st.sampled_from([None, "409"]))
    def deliver(self, count: int, refused: str | None) -> None:
        self.journal.settled(self.journal.outbox()[:count], refused=refused)

    @rule(key=consumes(keys))
    def forget(self, key: int) -> None:
        self.journal.forget([name for name, _ in self.journal.ended()])

    @rule()
    def crash(self) -> None:
        self.journal = Journal(self.path, FakeClock())

    @invariant()
    def memory_is_what_is_on_disk(self) -> None:
        on_disk = Journal(self.path, FakeClock())
        assert on_disk.rows() == self.journal.rows()
        assert on_disk.outbox() == self.journal.outbox()
        assert self.journal.waiting == len(self.journal.outbox())
        self._finds_the_same(on_disk)
        on_disk._db.close()

    def _finds_the_same(self, on_disk: Journal) -> None:
        rows, memory = on_disk.rows(), self.journal.memory
        assert memory.active() == tuple(row for row in rows if row.active)
        assert memory.rows("server") == rows
        assert memory.rows("another") == ()
        assert memory.outcomes == on_disk.memory.outcomes
        ended = {row.key for row in rows if row.outcome is not None and not row.acked}
        assert memory.unreported(None, set()) == memory.unreported("server", set()) == len(ended)
        assert memory.unreported("server", ended) == 0
        waiting = Counter(report.run for report in on_disk.outbox())
        assert memory.with_reports(None) == memory.with_reports("server") == waiting.keys()
        for row in rows:
            assert memory.reports_of(row) == waiting[row.key]
            assert row in memory.of_run(row.server_id, row.run_id)

    @invariant()
    def an_end_is_the_last_thing_told(self) -> None:
        last: dict[int, OutboxRow] = {}
        for row in self.journal.outbox():
            before = last.get(row.run)
            assert before is None or (not before.ends_run and before.seq < row.seq)
            last[row.run] = row

    @invariant()
    def whoever_waits_is_in_a_row(self) -> None:
        """A report of a closed row would wait for ever."""
        rows: dict[int, RunRow] = {row.key: row for row in self.journal.rows()}
        for report in self.journal.outbox():
            assert report.run in rows
            assert rows[report.run].outcome is not Outcome.LOST


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=40, stateful_step_count=25, suppress_health_check=list(HealthCheck))


def test_many_threads_write_one_journal(journal: Journal) -> None:
    def write(name: str) -> None:
        key = journal.take("server", _run(name), "docker").key
        for number in range(10):
            journal.events(key, [_info(str(number))])
        journal.finish(key, Outcome.COMPLETED, "", [_end()])

    threads = [threading.Thread(target=write, args=(f"r{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: not any(thread.is_alive() for thread in threads), "all written")
    outbox = journal.outbox()
    assert len(outbox) == 8 * 11
    for key in {row.run for row in outbox}:
        assert [row.seq for row in outbox if row.run == key] == list(range(1, 12))


COMMITS = """
import sys
from pathlib import Path
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, Outcome
journal = Journal(Path(sys.argv[1]), SystemClock())
print("opened")
row = journal.take("s", OpRun(id="r1", image="op", attempt=1, lease="l1"), "docker")
print("taken")
journal.update(row.key, handle={"id": "c"})
print("handle")
journal.update(row.key, start_asked=True)
print("start asked")
journal.intend(row.key, Intent.CANCEL, "")
print("intent")
journal.finish(row.key, Outcome.COMPLETED, "exit 0", [EventReport(type=EventType.COMPLETED, payload={})])
print("end")
journal.tried([journal.outbox()[0].id])
print("tried")
"""


def test_what_must_outlive_the_machines_power_is_on_the_disk_when_the_call_returns(tmp_path: Path) -> None:
    found = syncs(tmp_path, COMMITS, str(tmp_path / "journal.db"))
    for durable in ("taken", "start asked", "intent", "end", "tried"):
        assert "journal.db-wal" in found[durable], found
    assert "journal.db-wal" not in found["handle"], "the engine knows the handle too: that one needs no wait for a disk"
