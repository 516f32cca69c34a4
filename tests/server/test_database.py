"""The writer thread: whatever becomes of those who ask, it goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.server import schema, timers
from gyoza_tui.server.database import Database, Transaction
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.shared_state import SharedState, Timings
from tests.server.cluster import DEADLINE_S, FakeClock
from tests.syncs import syncs
from tests.waiting import until


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(str(tmp_path / "server.db"))
    database.start()
    yield database
    database.close()


def _broken(tx: Transaction) -> None:
    tx.connection.exec_driver_sql("SELECT * FROM a_table_that_is_lost")


def test_a_change_that_nobody_waits_for_any_more_is_left_out(tmp_path: Path) -> None:
    database = Database.open(str(tmp_path / "server.db"))
    database.start()
    gate, made = threading.Event(), []
    first = database.submit(lambda _: gate.wait(DEADLINE_S))
    until(first.running, "the first is being made")
    left = database.submit(lambda _: made.append("left"))
    assert left.cancel()
    assert not first.cancel()
    last = database.submit(lambda _: made.append("last"))
    gate.set()
    assert first.result(DEADLINE_S)
    last.result(DEADLINE_S)
    database.close()
    assert made == ["last"]


def test_memory_is_read_again_before_anything_is_written_after_a_failure(database: Database) -> None:
    done: list[str] = []

    def reload() -> None:
        done.append("reload")
        if done.count("reload") < 3:
            raise OSError("the disk cannot be read")

    database.after_failure = reload
    database.before_commit = _broken
    with pytest.raises(Refused, match="a_table_that_is_lost"):
        database.submit(lambda _: done.append("lost")).result(DEADLINE_S)
    database.before_commit = None
    for _ in range(2):
        with pytest.raises(Refused, match="its log says why"):
            database.submit(lambda _: done.append("too early")).result(DEADLINE_S)
    database.submit(lambda _: done.append("written")).result(DEADLINE_S)
    assert done == ["lost", "reload", "reload", "reload", "written"]


def test_a_transaction_that_is_given_up_takes_all_its_changes_with_it(database: Database) -> None:
    gate = threading.Event()
    first = database.submit(lambda _: gate.wait(DEADLINE_S))
    until(first.running, "the next ones are one batch")

    def give_up(tx: Transaction) -> None:
        tx.connection.exec_driver_sql("ROLLBACK")  # as SQLite does when its disk fails
        raise OSError("the disk fails")

    def name(word: str) -> Callable[[Transaction], object]:
        return lambda tx: tx.connection.execute(schema.meta.insert().values(key=word, value=word))

    batch: list[Future[Any]] = [
        database.submit(name("before")),
        database.submit(give_up),
        database.submit(name("after")),
    ]
    gate.set()
    assert first.result(DEADLINE_S)
    for each in batch:
        with pytest.raises(Refused, match="its log says why"):
            each.result(DEADLINE_S)
    database.submit(name("later")).result(DEADLINE_S)
    with database.reading() as connection:
        kept = set(connection.execute(select(schema.meta.c.key)).scalars())
    assert kept == {"schema_version", "server_id", "later"}


def test_what_follows_a_change_may_fail(database: Database) -> None:
    told: list[str] = []

    def fail() -> None:
        raise OSError("nobody there")

    def change(tx: Transaction) -> str:
        for action in (tx.after_commit, tx.after_failure):
            action(fail)
            action(lambda: told.append("told"))
        return "made"

    assert database.submit(change).result(DEADLINE_S) == "made"
    database.before_commit = _broken
    with pytest.raises(Refused):
        database.submit(change).result(DEADLINE_S)
    database.before_commit = None
    assert database.submit(lambda _: "and again").result(DEADLINE_S) == "and again"
    assert told == ["told", "told"]


@pytest.mark.parametrize("name", ["z%41.db", "what?.db", "a b#c.db"])
def test_the_file_that_is_locked_and_made_private_is_the_one_that_is_written(name: str, tmp_path: Path) -> None:
    database = Database.open(str(tmp_path / name))
    database.close()
    assert {file.name for file in tmp_path.iterdir()} == {name, f"{name}.lock", f"{name}.holder"}
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / name).stat().st_size > 0


def test_a_tick_that_is_refused_does_not_stop_the_timers(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    """With it eviction, back-offs and the erasing of secrets would end, and no message would say so."""
    monkeypatch.setattr(timers, "TICK_S", 0.001)
    shared = SharedState(database, FakeClock(), Timings())
    ticks: list[str] = []

    class Refusing(timers.Timers):
        def tick(self, tx: Transaction) -> None:
            ticks.append("tick")
            raise Refused(400, ErrorCode.TRANSITION, "it cannot become PENDING")

    async def three_ticks() -> None:
        refusing = Refusing(shared)
        refusing.start()
        async with asyncio.timeout(DEADLINE_S):
            while len(ticks) < 3:
                await asyncio.sleep(0.001)
        await refusing.stop()

    asyncio.run(three_ticks())


CHANGE = """
import sys
from gyoza_tui.server.database import Database
database = Database.open(sys.argv[1])
database.start()
print("opened")
for number in ("first", "second"):
    database.submit(lambda tx: tx.connection.exec_driver_sql("CREATE TABLE %s (x)" % number)).result(15)
    print(number)
database.close()
"""


def test_a_change_is_on_the_disk_when_its_result_is_given(tmp_path: Path) -> None:
    found = syncs(tmp_path, CHANGE, str(tmp_path / "server.db"))
    assert "server.db-wal" in found["first"], found
    assert "server.db-wal" in found["second"], found
