"""What this worker took on, did, and still has to report: SQLite, written before each side effect.

Readers that must never wait for a disk (the heartbeat, the snapshot) read a copy in memory; it changes only after the
transaction behind it is on disk.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.runs import EventReport, OpRun, RunPatch
from gyoza_tui.models.states import EventType
from gyoza_tui.models.workers import WantedReport
from gyoza_tui.worker.journal import outbox_table
from gyoza_tui.worker.journal import secrets as journal_secrets
from gyoza_tui.worker.journal.damage import UNREADABLE, delete_unreadable
from gyoza_tui.worker.journal.file import (
    CLOSED,
    COLUMNS,
    OPEN,
    JournalClosed,
    copy_aside,
    no_room,
    opened,
    row_of,
    set_aside,
    stored,
    unusable,
)
from gyoza_tui.worker.journal.memory import Memory
from gyoza_tui.worker.journal.outbox import OutboxRow
from gyoza_tui.worker.journal.progress import progressed
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.state_dir.state_dir import attempt_name

REPLACED: Final = "replaced"
"""The words of a report that others were sent for."""

_WAITING: Final = frozenset({"waiting_since", "waits_left", "waits_of", "waited_s"})
_FREEZING: Final = frozenset(
    {"freeze_by", "thaw_asked", "frozen_since", "frozen_s", "server_wants_frozen", "freeze_untold"}
)
_OF_CONTAINER: Final = frozenset({"create_asked", "handle", "started_at", "exit", "filled_disk"})
_NOT_MISSED: Final = _WAITING | _FREEZING | _OF_CONTAINER
"""What may be lost with the machine's power: the backend tells it again, by the attempt's name, and of its end; an op
that was to be stopped or frozen, or that waited, has ended with the machine."""
_STEPS_MAX: Final = 1000
"""Entries into steps that are kept of one attempt: what cannot be brought to its end is tried every five seconds."""
_OF_OPEN: Final = f"run IN (SELECT key FROM runs WHERE {OPEN})"
_ENDED_AT: Final = "CAST(ifnull(outcome_at, claimed_at) AS REAL)"
"""A number, whatever damage made of it."""
_OF_RUN: Final = "server_id = ? AND run_id = ?"
_IS_LAST: Final = (
    "NOT EXISTS (SELECT 1 FROM runs AS later"
    " WHERE later.server_id = runs.server_id AND later.run_id = runs.run_id AND later.key > runs.key)"
)
"""Whether its run has no later attempt here."""


class Journal:
    """Thread-safe. Every method that changes something returns when it is on disk."""

    def __init__(self, path: Path, clock: Clock, *, new: bool = False) -> None:
        """Open or make it. With `new` an existing one is set aside, never deleted.

        JournalError for a damaged or newer one; the file stays as it is.
        """
        self._path = path
        self._clock = clock
        self._write = threading.RLock()
        if new:
            set_aside(path, clock)
        self.damage: tuple[str, ...] = ()
        """What could not be read of it, in words."""
        self._opened: sqlite3.Connection | None = None
        try:
            self._opened = opened(path)
            try:
                self._memory = self._read()
            except UNREADABLE:
                self.damage = delete_unreadable(self._opened, lambda: copy_aside(self._db, path, clock))
                self._memory = self._read()
            self._count_ended()
            for key, step, at in self._db.execute(
                f"SELECT run, step, CAST(began_at AS REAL) FROM steps WHERE {_OF_OPEN}"
            ):
                self._memory.entered(key, step, at)
        except (sqlite3.DatabaseError, *UNREADABLE) as error:
            self.close()
            raise unusable(path, error) from None

    def _read(self) -> Memory:
        return Memory(self._load(), Counter(report.run for report in self.outbox()))

    @property
    def _db(self) -> sqlite3.Connection:
        self.check_open()
        assert self._opened is not None
        return self._opened

    # Reading, from memory

    def rows(self) -> tuple[RunRow, ...]:
        """Every row that is not closed, oldest first."""
        return self._memory.rows()

    def active(self) -> tuple[RunRow, ...]:
        """The rows of which something is here, oldest first."""
        return self._memory.active()

    def get(self, key: int) -> RunRow | None:
        """The row while it is not closed."""
        return self._memory.get(key)

    def find(self, server_id: str, run_id: str, attempt: int, lease: str | None = None) -> RunRow | None:
        """The row of that attempt while it is not closed; any lease when none is named."""
        for row in self._memory.of_run(server_id, run_id):
            if row.attempt == attempt and lease in (None, row.lease):
                return row
        return None

    @property
    def memory(self) -> Memory:
        """The rest of what is read from memory."""
        return self._memory

    @property
    def waiting(self) -> int:
        """Reports not yet taken by the server."""
        return self._memory.waiting

    # Writing

    def take(self, server_id: str, run: OpRun, backend: str, **known: Any) -> RunRow:
        """A claimed run, before anything is done for it. A closed row of the same attempt makes room for it.

        Nobody needs to look at a failed attempt that is tried again. `known` is what is known of it already, by the
        names of RunRow.
        """
        now = self._clock.utc().timestamp()
        attempt = run.attempt or run.current_attempt
        name = attempt_name(run.id, attempt, run.lease)
        body = run.model_dump_json(exclude={"events", "attempts"})
        with self._transaction() as db:
            journal_secrets.keep(db, name)
            replaced = db.execute(
                f"DELETE FROM runs WHERE server_id = ? AND run_id = ? AND attempt = ? AND lease = ? AND {CLOSED}",
                (server_id, run.id, attempt, run.lease or ""),
            ).rowcount
            db.execute(
                f"UPDATE runs SET seen = 1 WHERE {_OF_RUN} AND outcome = ? AND seen = 0",
                (server_id, run.id, Outcome.FAILED),
            )
            earlier = db.execute(f"SELECT 1 FROM runs WHERE {_OF_RUN} LIMIT 1", (server_id, run.id)).fetchone()
            cursor = db.execute(
                "INSERT INTO runs (server_id, run_id, attempt, lease, run, name, backend, claimed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (server_id, run.id, attempt, run.lease or "", body, name, backend, now),
            )
            key = int(cursor.lastrowid or 0)
            if known:
                self._set(db, key, known)
        self._refresh(key)
        if replaced or earlier:
            self._count_ended()
        row = self.get(key)
        assert row is not None
        return row

    def update(self, key: int, **changes: Any) -> None:
        """Set columns of a row, by the names of RunRow."""
        if changes.get("cleaned"):
            changes["left_at"] = self._clock.utc().timestamp()
        with self._transaction(outlives_power=not _NOT_MISSED.issuperset(changes)) as db:
            self._set(db, key, changes)
        self._refresh(key)

    def begin_step(self, key: int, step: str) -> None:
        """The pipeline goes into `step`; the time of each entry is kept, of the first thousand."""
        with self._transaction(outlives_power=False) as db:
            self._set(db, key, {"step": step})
            now = self._clock.utc().timestamp()
            many = "SELECT 1 FROM steps WHERE run = ? LIMIT 1 OFFSET ?"
            if db.execute(many, (key, _STEPS_MAX - 1)).fetchone() is None:
                db.execute("INSERT INTO steps (run, step, began_at) VALUES (?, ?, ?)", (key, step, now))
        self._memory.entered(key, step, now)
        self._refresh(key)

    def intend(self, key: int, intent: Intent, note: str, *, by_server: bool = False) -> bool:
        """Set the intent unless one that outranks it, or an outcome, is there; whether it was set."""
        with self._write:
            row = self.get(key)
            if row is None or not row.may_become(intent):
                return False
            self.update(key, intent=intent, intent_note=note, by_server=by_server)
            return True

    def events(self, key: int, reports: Iterable[EventReport], *, parsed: int | None = None) -> None:
        """Queue an op's events together with how far its output is parsed; none once the end is on record.

        The last output of a stopped container is still read when its end is told already.
        """
        with self._write:
            row = self.get(key)
            if row is None or row.outcome is not None:
                return
            reports = list(reports)
            changes: dict[str, Any] = {} if parsed is None else {"parsed": parsed}
            with self._transaction() as db:
                for report in reports:
                    outbox_table.queue(db, key, report)
                    if report.type is EventType.PROGRESS and isinstance(report.msg, int | float):
                        changes |= progressed(row.with_(**changes), float(report.msg), self._clock.utc().timestamp())
                if changes:
                    self._set(db, key, changes)
            self._refresh(key, queued=len(reports))

    def start(self, key: int, report: EventReport) -> None:
        """Queue STARTED unless it waits already, from before a restart, or the end is on record.

        If the machine's power takes it nobody knows of it: `tried` is on disk, and this with it, before it is sent.
        """
        with self._write:
            if not self._unended(key):
                return
            with self._transaction(outlives_power=False) as db:
                waits = outbox_table.has_started(db, key)
                if not waits:
                    outbox_table.queue(db, key, report)
            self._refresh(key, queued=0 if waits else 1)

    def finish(
        self, key: int, outcome: Outcome, note: str, reports: Iterable[EventReport | RunPatch], *, last_line: str = ""
    ) -> bool:
        """The outcome and the reports that tell it, in one transaction; False when there is an outcome already.

        Without a report to deliver the row needs no answer. A STARTED never tried goes with CANCELLED and RELEASED.
        """
        with self._write:
            if not self._unended(key):
                return False
            reports = list(reports)
            withdrawn = 0
            with self._transaction() as db:
                if outcome is Outcome.LOST:
                    withdrawn = outbox_table.withdraw(db, key)
                elif outcome in (Outcome.CANCELLED, Outcome.RELEASED):
                    withdrawn = outbox_table.withdraw_started(db, key)
                for report in reports:
                    outbox_table.queue(db, key, report)
                at = self._clock.utc().timestamp()
                ended = {"outcome": outcome, "outcome_note": note, "outcome_at": at, "acked": not reports}
                self._set(db, key, ended | {"last_line": last_line})
            self._refresh(key, queued=len(reports) - withdrawn)
            return True

    def seen(self, key: int) -> bool:
        """Somebody has looked at how it ended; whether there is such an attempt, closed or not."""
        with self._transaction(outlives_power=False) as db:
            db.execute("UPDATE runs SET seen = 1 WHERE key = ? AND outcome IS NOT NULL", (key,))
            known = db.execute("SELECT 1 FROM runs WHERE key = ?", (key,)).fetchone() is not None
        self._refresh(key)
        self._memory.saw(key)
        return known

    # The outbox

    def outbox(self, key: int | None = None, limit: int = -1) -> list[OutboxRow]:
        """Reports not yet taken, in order per run: the first of one row, or all."""
        with self._write:
            return outbox_table.load(self._db, key, limit)

    def tried(self, ids: Iterable[int]) -> None:
        """About to be sent: from here on the server may know it."""
        with self._transaction() as db:
            db.executemany("UPDATE outbox SET tried = tried + 1 WHERE id = ?", [(i,) for i in ids])

    def settled(self, rows: Iterable[OutboxRow], *, refused: str | None = None) -> None:
        """The server has taken these reports, or refused them in these words.

        What it has taken it knows by its number, and says so again if the machine's power takes this.
        """
        settled: Counter[int] = Counter()
        with self._write:
            with self._transaction(outlives_power=refused is not None) as db:
                for row in rows:
                    settled[row.run] += outbox_table.settle(db, row, refused)
                    if row.ends_run:
                        self._set(db, row.run, {"acked": True})
                    elif row.starts_run and refused is None:
                        self._set(db, row.run, {"started_acked": True})
            for key, count in settled.items():
                self._refresh(key, queued=-count)

    def replace(self, row: OutboxRow, reports: Iterable[EventReport]) -> None:
        """Send `reports` in the place of `row`, which cannot be delivered as it is."""
        reports = list(reports)
        with self._write:
            with self._transaction() as db:
                settled = outbox_table.settle(db, row, REPLACED)
                for report in reports:
                    outbox_table.queue(db, row.run, report)
            self._refresh(row.run, queued=len(reports) - settled)

    def refusals(self, key: int) -> list[str]:
        with self._write:
            found = self._db.execute("SELECT refused FROM outbox WHERE run = ? AND refused IS NOT NULL", (key,))
            return [str(words) for (words,) in found]

    # What servers want of the worker

    def wanted_reports(self) -> dict[str, WantedReport]:
        """What was done about the state that each server wanted last, by the server's id; without damaged rows."""
        reports: dict[str, WantedReport] = {}
        with self._write:
            for server_id, seq, answer in self._db.execute("SELECT server_id, seq, answer FROM wanted"):
                with suppress(*UNREADABLE):
                    reports[str(server_id)] = WantedReport(seq=seq, answer=answer)
        return reports

    def keep_wanted_report(self, server_id: str, report: WantedReport) -> None:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)", (server_id, report.seq, report.answer.value))

    # History

    def steps(self, key: int) -> list[tuple[str, float]]:
        """The steps entered so far, with the time of each entry."""
        with self._write:
            return [
                (str(s), float(t))
                for s, t in self._db.execute("SELECT step, began_at FROM steps WHERE run = ?", (key,))
            ]

    def closed(self, limit: int) -> list[RunRow]:
        """The rows closed last, newest first."""
        with self._write:
            return self._load(f"{CLOSED} ORDER BY outcome_at DESC LIMIT ?", (limit,), skip=UNREADABLE)

    def ended(self) -> list[tuple[str, float]]:
        """The name and the end of every closed row, newest first."""
        with self._write:
            found = self._db.execute(f"SELECT name, {_ENDED_AT} FROM runs WHERE {CLOSED} ORDER BY 2 DESC")
            return [(str(name), float(at)) for name, at in found]

    def forget(self, names: Sequence[str]) -> None:
        """Delete the closed rows of attempts whose logs are gone, and the secrets that these had."""
        with self._transaction() as db:
            query = f"DELETE FROM runs WHERE {CLOSED} AND name = ?"
            deleted = db.executemany(query, [(name,) for name in names]).rowcount
            journal_secrets.erase(db, names)
        with self._write:
            journal_secrets.empty_log(self._db)
        if deleted > 0:
            self._count_ended()

    def known(self, name: str) -> bool:
        """Whether an attempt of that name was ever taken on, closed or not."""
        with self._write:
            return self._db.execute("SELECT 1 FROM runs WHERE name = ?", (name,)).fetchone() is not None

    def check_open(self) -> None:
        """Raise JournalClosed when it is closed."""
        if self._opened is None:
            raise JournalClosed

    def close(self) -> None:
        """The last act: a thread that still asks for something ends by JournalClosed."""
        with self._write:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    # One way for every transaction

    @contextmanager
    def _transaction(self, *, outlives_power: bool = True) -> Iterator[sqlite3.Connection]:
        """Without `outlives_power` it is lost with the machine's power, if no other follows, but not by a kill."""
        with self._write:
            try:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if outlives_power else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                # a full disk may have rolled it back already, or may stop the commit
                if self._opened is not None and self._opened.in_transaction:
                    self._opened.execute("ROLLBACK")
                if no_room(error):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path)) from error
                raise

    def _unended(self, key: int) -> bool:
        row = self.get(key)
        return row is not None and row.outcome is None

    def _set(self, db: sqlite3.Connection, key: int, changes: dict[str, Any]) -> None:
        columns = ", ".join(f"{name} = ?" for name in changes)
        values = [stored(name, value) for name, value in changes.items()]
        db.execute(f"UPDATE runs SET {columns} WHERE key = ?", (*values, key))

    def _refresh(self, key: int, *, queued: int = 0) -> None:
        """Read the row back into memory; `queued` more of its reports wait than before."""
        with self._write:
            known = self._memory.get(key)
            for row in self._load("key = ?", (key,), None if known is None else known.run):
                self._memory.changed(row, queued)
                if row.closed and row.run.secret_env and not row.step:  # it has no log
                    with self._transaction() as db:
                        journal_secrets.erase_from_run(db, key)
                    journal_secrets.empty_log(self._db)

    def _load(
        self,
        where: str = f"{OPEN} ORDER BY key",
        values: tuple[Any, ...] = (),
        run: OpRun | None = None,
        skip: tuple[type[Exception], ...] = (),
    ) -> list[RunRow]:
        """The rows, but those that raise what is in `skip`.

        `run` is the one row's where it is known, for it may be large and never changes.
        """
        names = COLUMNS if run is None else ["NULL" if name == "run" else name for name in COLUMNS]
        found = self._db.execute(f"SELECT {', '.join(names)} FROM runs WHERE {where}", values).fetchall()
        rows: list[RunRow] = []
        for columns in found:
            with suppress(*skip):
                rows.append(row_of(columns, run))
        return rows

    def _count_ended(self) -> None:
        with self._write:
            counted = self._db.execute(
                f"SELECT outcome, count(*) FROM runs WHERE outcome IS NOT NULL AND {_IS_LAST} GROUP BY outcome"
            )
            outcomes = {Outcome(outcome): int(count) for outcome, count in counted if outcome in list(Outcome)}
            unseen = self._db.execute(
                f"SELECT key, {_ENDED_AT} FROM runs WHERE outcome = ? AND seen = 0", (Outcome.FAILED,)
            )
            self._memory.ended(outcomes, {int(key): float(at) for key, at in unseen})
