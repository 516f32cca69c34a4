"""SQLite in WAL mode: one writer thread for every change, separate connections for reading."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.pool import QueuePool

from gyoza_tui import private_files
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.server import schema, upgrades
from gyoza_tui.server.errors import Refused, ServerError

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_BATCH_MAX = 128
_READERS = 8
_BUSY_MS = 2_000
"""A write that waits longer for another process is refused, while those who asked still wait for their answer."""
_KEPT_DELETED = (1,)
"""Versions that did not overwrite what they deleted."""


class Transaction:
    """What a change sees: the connection, and what to do once it is on disk."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after: list[Callable[[], object]] = []
        self._failed: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], object]) -> None:
        """Run `action` in the writer thread once the change is durable; never when it is rolled back."""
        self._after.append(action)

    def after_failure(self, action: Callable[[], None]) -> None:
        """Run `action` in the writer thread if the change does not become durable."""
        self._failed.append(action)

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """What is done in the block stands or falls as a whole, and so do the actions noted for it.

        An exception undoes it and goes on, but a Refused that keeps what was done.
        """
        noted = len(self._after)
        # SQLAlchemy's own nested transaction takes five times as long
        self.connection.exec_driver_sql("SAVEPOINT part")
        try:
            yield
        except Exception as error:
            if not (isinstance(error, Refused) and error.keep):
                del self._after[noted:]
                if self.stands:
                    self.connection.exec_driver_sql("ROLLBACK TO part")
            if self.stands:
                self.connection.exec_driver_sql("RELEASE part")
            raise
        self.connection.exec_driver_sql("RELEASE part")

    @property
    def stands(self) -> bool:
        """Whether it goes on: SQLite itself gives a transaction up when the disk is full or fails."""
        return bool(self.connection.connection.in_transaction)

    def committed(self) -> None:
        _done(self._after)

    def failed(self) -> None:
        _done(self._failed)


def _done(actions: Iterable[Callable[[], object]]) -> None:
    """Each of them, whatever becomes of the others."""
    for action in actions:
        try:
            action()
        except Exception:
            _LOG.exception("what was to follow a change failed")


class _Gone(Exception):
    """The file is no longer in its place."""


class _Job(Generic[_T]):
    def __init__(self, change: Callable[[Transaction], _T]) -> None:
        self.change = change
        self.future: Future[_T] = Future()
        self.result: _T | None = None
        self.error: BaseException | None = None

    def run(self, tx: Transaction) -> None:
        try:
            with tx.part():
                self.result = self.change(tx)
        except Exception as error:
            if not tx.stands:
                raise
            self.error = error  # told to whoever asked; the other changes of the batch stand

    def publish(self) -> None:
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Database:
    """One file, held by one server process."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock
        self._writing = _engine(path, readers=False)
        self._reading = _engine(path, readers=True)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.before_commit: Callable[[Transaction], None] | None = None
        """Runs at the end of each batch, in its transaction: the scheduler's place."""
        self.after_failure: Callable[[], None] | None = None
        """Runs when a batch could not be committed: what memory knew of it is to be forgotten.

        When it raises it runs again before anything else is written.
        """
        self._memory_is_stale = False
        self.server_id = self._open()
        self._file = _identity(path)
        self._gone_logged = False

    @classmethod
    def open(cls, url: str) -> Database:
        """ServerError when `url` is not SQLite, in use, of a newer version, or not usable."""
        path = _file_of(url)
        try:
            if path.exists() and not path.is_file():
                raise ServerError(f"the database {_shown(path)} is no regular file: choose another by --database")
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.exists() and path.stat().st_nlink > 1:
                raise ServerError(
                    f"the database {_shown(path)} has more than one name (hard links), and SQLite keeps a log beside "
                    "each: remove the other names"
                )
            lock = _locked(path)
        except OSError as error:
            raise ServerError(f"the database {_shown(path)} cannot be used: {error.strerror}") from None
        try:
            private_files.make_database(path)
            return cls(path, lock)
        except OSError as error:
            lock.release()
            raise ServerError(f"the database {_shown(path)} cannot be used: {error.strerror}") from None
        except DatabaseError as error:
            lock.release()
            raise ServerError(f"the database {_shown(path)} cannot be used: {error.orig}") from None
        except ServerError:
            lock.release()
            raise

    def _open(self) -> str:
        with self._writing.begin() as connection:
            if (damage := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()) != "ok":
                raise ServerError(
                    f"the database {_shown(self.path)} is damaged ({str(damage)[:200]}): restore a copy of it, or let "
                    f"`sqlite3 FILE .recover` write what can be read to a new one"
                )
            version = self._stored("schema_version", upgrades.stored_version, connection)
            if version > schema.SCHEMA_VERSION:
                raise ServerError(
                    f"the database {_shown(self.path)} was written by a newer gyoza-tui (schema {version}, this one "
                    f"knows {schema.SCHEMA_VERSION}): start that version, or choose another file by --database"
                )
        if version in _KEPT_DELETED:
            self._rewrite()  # first: after a kill in the middle of it the version still says that it is to be done
        with self._writing.begin() as connection:
            upgrades.bring_up_to_date(connection, version, str(uuid.uuid4()))
            return self._stored("server_id", upgrades.stored_server_id, connection)

    def _stored(self, row: str, read: Callable[[Connection], _T], connection: Connection) -> _T:
        try:
            return read(connection)
        except ValueError as error:
            raise ServerError(
                f"the database {_shown(self.path)} has {error} as {row} in its table meta, which no gyoza-tui writes: "
                "restore a copy of it, or choose another file by --database"
            ) from None

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written although SQLite would: the file has gone from its place."""
        if self._closed or _identity(self.path) == self._file:
            return None
        return (
            f"the database {_shown(self.path)} was removed or replaced while the server runs: put it back, or stop the "
            "server and restore a copy"
        )

    def _rewrite(self) -> None:
        """Write the whole file again, without what was deleted from it."""
        try:
            with contextlib.closing(self._writing.raw_connection()) as connection:
                connection.cursor().execute("VACUUM")
        except (DatabaseError, sqlite3.Error) as error:
            _LOG.warning("%s may still hold bytes of deleted values: %s", _shown(self.path), error)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._write, name="gyoza-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what was submitted, then let the file go. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._writing.dispose()
        self._reading.dispose()
        self._lock.release()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database throughout."""
        with self._reading.connect() as connection:
            yield connection

    def empty_log(self) -> bool:
        """Empty the write-ahead log, where erased values may be read for long; False while a reader needs it.

        For the writer thread, between transactions.
        """
        with contextlib.closing(self._writing.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                busy: int = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        return not busy

    def submit(self, change: Callable[[Transaction], _T]) -> Future[_T]:
        """Have the writer thread execute `change`; the result comes once it is on disk."""
        job = _Job(change)
        if self._closed:
            job.future.set_exception(Refused(503, ErrorCode.BUSY, "the server is stopping"))
        else:
            self._jobs.put(job)
        return job.future

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            ending = False
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH_MAX:
                    more = self._jobs.get_nowait()
                    if more is None:
                        ending = True
                        break
                    batch.append(more)
            # whoever asked may have gone; from here on nobody can any more
            self._commit([job for job in batch if job.future.set_running_or_notify_cancel()])
            if ending:
                return

    def _commit(self, batch: list[_Job[Any]]) -> None:
        tx: Transaction | None = None
        try:
            if (trouble := self.trouble) is not None:
                raise _Gone(trouble)
            self._refresh_memory()
            with self._writing.begin() as connection:
                tx = Transaction(connection)
                for job in batch:
                    job.run(tx)
                self._match(tx)
        except Exception as error:  # of whatever kind: there is no other writer
            self._refuse(batch, error)
            if tx is not None:
                self._memory_is_stale = True
                tx.failed()
        else:
            tx.committed()
        finally:
            for job in batch:
                job.publish()

    def _refresh_memory(self) -> None:
        if self._memory_is_stale and self.after_failure is not None:
            self.after_failure()
        self._memory_is_stale = False

    def _match(self, tx: Transaction) -> None:
        if self.before_commit is None:
            return
        try:
            self.before_commit(tx)
        except DatabaseError:
            raise
        except Exception:
            tx.failed()
            _LOG.exception("the scheduler failed; nothing was assigned")

    def _refuse(self, batch: list[_Job[Any]], error: Exception) -> None:
        if isinstance(error, _Gone):
            words = str(error)
            _LOG.log(logging.DEBUG if self._gone_logged else logging.CRITICAL, "%s", words)
            self._gone_logged = True
        elif isinstance(error, DatabaseError):
            words = f"the server's database cannot be written now: {error.orig}"
            _LOG.error("%s", words)
        else:
            words = "the server failed while it wrote its database; its log says why"
            _LOG.error("%s", words, exc_info=error)
        for job in batch:
            job.error = Refused(503, ErrorCode.BUSY, words)


def _engine(path: Path, *, readers: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=_READERS if readers else 1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000},
    )
    begin = "BEGIN" if readers else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # sqlite3's own transaction control begins with a read and fails at once when another wrote meanwhile
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA query_only = " + ("ON" if readers else "OFF"))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _shown(path: Path) -> str:
    """The path for a terminal: no control characters, no novel."""
    text = str(path)
    return text if text.isprintable() and len(text) <= 300 else ascii(text[:300])


def _file_of(url: str) -> Path:
    if "://" not in url:
        return _absolute(url)
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ServerError(f"{url[:80]!a} is not a database URL: write sqlite:///path/to/file.db") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ServerError("the server keeps its data in one SQLite file: write sqlite:///path/to/file.db")
    return _absolute(parsed.database)


def _absolute(path: str) -> Path:
    """Where the file itself is, behind every link: lock, mode, `-wal` and `-shm` are there too."""
    try:
        return Path(os.path.realpath(Path(path).expanduser()))
    except RuntimeError:
        raise ServerError(f"{path[:80]!a}: there is no such home directory") from None


def _locked(path: Path) -> FileLock:
    lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
    holder = path.with_name(path.name + ".holder")
    try:
        lock.acquire()
    except Timeout:
        who = holder.read_text().strip() if holder.exists() else "another process"
        raise ServerError(
            f"the database {_shown(path)} is in use by {who}: stop that server, or choose another file by --database"
        ) from None
    holder.write_text(f"pid {os.getpid()}")
    return lock
