"""The values of secret_env: gone when they are needed no more, from every file, and in no message."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gyoza_tui.models.states import RunState
from gyoza_tui.server.database import Database
from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.shared_state import DAY_S, Timings
from tests.server.cluster import Cluster, Worker, cluster, until
from tests.server.version_1 import Version1

SECRET = "correct-horse-battery-staple"
LONG = f"{SECRET}-" * 400
"""Over several pages of the file, which are free once it is erased."""


def submitted(gyoza: Cluster, worker: Worker, **more: Any) -> dict[str, Any]:
    """A started run with a secret, as its worker has it."""
    gyoza.submit(secret_env={"TOKEN": SECRET, "API_KEY": LONG}, **more)
    (run,) = worker.take()
    assert run["secret_env"]["TOKEN"] == SECRET
    worker.start(run)
    return run


def readable(path: Path) -> list[str]:
    """The files of the database in which the secret can be read."""
    return [file.name for file in path.parent.glob(f"{path.name}*") if SECRET.encode() in file.read_bytes()]


def test_erased_at_its_end(gyoza: Cluster, tmp_path: Path) -> None:
    path, worker = tmp_path / "server.db", gyoza.worker()
    run = submitted(gyoza, worker)
    gyoza.tick()
    assert readable(path)
    worker.report(run, "COMPLETED", payload={})
    gyoza.tick()
    until(lambda: not readable(path), "no file has it")
    assert gyoza.run(run["id"])["secret_env"] == {"TOKEN": "***", "API_KEY": "***"}, "the names are kept"


def test_kept_for_a_retry_then_erased(gyoza: Cluster, tmp_path: Path) -> None:
    path, worker = tmp_path / "server.db", gyoza.worker()
    run = submitted(gyoza, worker, retry_policy={"max_attempts": 2})
    worker.report(run, "FAILED", payload={"reason": "op_error", "message": "no"})
    gyoza.clock.advance(8 * DAY_S)
    gyoza.tick()
    worker.forget(run)
    worker.beat()
    (again,) = worker.take()
    assert again["secret_env"]["TOKEN"] == SECRET, "a retry by policy does not count as an end"
    worker.start(again)
    gyoza.patch(run["id"], state="CANCELLED")
    worker.report(again, "CANCELLED")
    gyoza.clock.advance(6.9 * DAY_S)
    gyoza.tick()
    assert gyoza.patch(run["id"], state="PENDING")["state"] == RunState.PENDING
    gyoza.clock.advance(7 * DAY_S)
    gyoza.tick()
    gyoza.patch(run["id"], state="CANCELLED")
    gyoza.clock.advance(6.9 * DAY_S)
    gyoza.tick()
    assert readable(path), "its days count from the last end"
    gyoza.clock.advance(0.2 * DAY_S)
    gyoza.tick()
    until(lambda: not readable(path), "no file has it")
    refused = gyoza.patch(run["id"], 409, state="PENDING")
    assert refused["code"] == "secrets"
    assert refused["detail"].endswith("submit it again, with API_KEY, TOKEN")
    assert gyoza.state(run) == RunState.CANCELLED


def test_how_long_can_be_set(tmp_path: Path) -> None:
    with cluster(tmp_path / "db", timings=Timings(secret_env_s=0)) as gyoza:
        run = gyoza.submit(secret_env={"TOKEN": SECRET})
        gyoza.patch(run["id"], state="CANCELLED")
        gyoza.tick()
        gyoza.patch(run["id"], 409, state="PENDING")
        plain = gyoza.submit()
        gyoza.patch(plain["id"], state="CANCELLED")
        gyoza.tick()
        gyoza.patch(plain["id"], state="PENDING")


def test_those_of_a_definition_are_erased_when_it_is_replaced(gyoza: Cluster, tmp_path: Path) -> None:
    path, definition = tmp_path / "server.db", {"id": "op", "version": "1", "image": "busybox"}
    gyoza.tick()
    gyoza.post("/definitions", definition | {"secret_env": {"TOKEN": LONG}})
    assert readable(path)
    gyoza.post("/definitions", definition)
    gyoza.tick()
    until(lambda: not readable(path), "no file has it")


def test_a_reader_delays_the_emptying_of_the_log_and_blocks_nothing(gyoza: Cluster, tmp_path: Path) -> None:
    path, worker = tmp_path / "server.db", gyoza.worker()
    run = submitted(gyoza, worker)
    with gyoza.shared.database.reading() as connection:
        connection.execute(text("SELECT count(*) FROM runs"))
        worker.report(run, "COMPLETED", payload={})
        gyoza.tick()
        worker.beat()
        assert readable(path), "the reader still sees the state before"
    gyoza.tick()
    until(lambda: not readable(path), "no file has it")


def test_no_message_of_the_database_has_a_parameter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a statement that fails: not in the answer, not in the log, not in the traceback."""
    with cluster(tmp_path / "db") as gyoza:
        gyoza.client.post("/runs", json={"id": "one", "image": "busybox"})
        with sqlite3.connect(tmp_path / "db") as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no more'); END")
        with caplog.at_level(logging.DEBUG):
            reply = gyoza.client.post("/runs", json={"image": "busybox", "secret_env": {"TOKEN": SECRET}})
        assert reply.status_code == 503
        assert "the database failed" in caplog.text, "the failure is logged"
        assert SECRET not in caplog.text + reply.text


def test_a_database_of_version_1_is_taken_up(tmp_path: Path) -> None:
    """Runs go on, ended ones lose their secrets as if they had ended under this version, and no byte stays behind."""
    path = tmp_path / "server.db"
    old = Version1(path)
    secret = f'{{"TOKEN":"{SECRET}"}}'
    long_ago, now = 1_700_000_000_000_000, 1_772_481_600_000_000
    old.run("done", "COMPLETED", now, secret)
    old.run("failed", "FAILED", long_ago, secret)
    old.run("fresh", "FAILED", now, '{"TOKEN":"another"}')
    old.run("plain", "CANCELLED", long_ago)
    old.run("waits", "PENDING", now)
    old.run("goes", "RUNNING", now)
    old.run("deleted", "COMPLETED", long_ago, f'{{"TOKEN":"{LONG}"}}')
    old.delete("deleted")
    old.close()
    assert readable(path)
    with cluster(path, checked=False) as gyoza:
        gyoza.tick()
        until(lambda: not readable(path), "no file has it")
        for run_id in ("done", "failed"):
            assert gyoza.run(run_id)["secret_env"] == {"TOKEN": "***"}
        assert gyoza.patch("failed", 409, state="PENDING")["code"] == "secrets"
        assert gyoza.patch("fresh", state="PENDING")["state"] == "PENDING"
        assert gyoza.patch("plain", state="PENDING")["state"] == "PENDING"
        worker = gyoza.worker()
        goes = {"id": "goes", "attempt": 1, "lease": "lease-of-goes"}
        worker.report(goes, "COMPLETED", payload={"n": 1})
        assert gyoza.run("goes")["outputs"] == {"n": 1}
        assert {run["id"] for run in worker.take(9)} == {"waits", "fresh", "plain"}
        assert gyoza.shared.database.server_id == "the-first-server"


def test_an_upgrade_that_is_interrupted_leaves_no_byte_behind_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.db"
    old = Version1(path)
    old.run("deleted", "COMPLETED", 1, f'{{"TOKEN":"{LONG}"}}')
    old.delete("deleted")
    old.close()

    def end(_: Database) -> None:
        raise OSError("the process ends here")

    with monkeypatch.context() as at_first:
        at_first.setattr(Database, "_rewrite", end)
        with pytest.raises(ServerError, match="cannot be used"):
            Database.open(str(path))
    with cluster(path) as gyoza:
        gyoza.tick()
        until(lambda: not readable(path), "no file has it")


def test_of_the_progress_in_an_older_database_the_last_ten_are_kept(tmp_path: Path) -> None:
    old = Version1(tmp_path / "db")
    for run_id, sent in (("long", 500), ("short", 3)):
        old.run(run_id, "RUNNING", 1)
        old.progress(run_id, range(sent))
    old.close()
    with cluster(tmp_path / "db", checked=False) as gyoza:
        assert [event["msg"] for event in gyoza.run("long")["events"]] == list(range(490, 500))
        assert [event["msg"] for event in gyoza.run("short")["events"]] == [0, 1, 2]


def test_an_upgraded_database_is_like_a_new_one(tmp_path: Path) -> None:
    Version1(tmp_path / "old").close()
    shapes = []
    for name in ("old", "new"):
        Database.open(str(tmp_path / name)).close()
        with sqlite3.connect(tmp_path / name) as file:
            tables = [
                row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            ]
            columns = {table: {row[1:4] for row in file.execute(f"PRAGMA table_info({table})")} for table in tables}
            indexes = set(file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))
            shapes.append(
                (columns, indexes, file.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone())
            )
    assert shapes[0] == shapes[1]


def test_an_upgrade_that_fails_leaves_the_old_database(tmp_path: Path) -> None:
    old = Version1(tmp_path / "db")
    old.run("one", "PENDING", 1)
    old.close()
    with sqlite3.connect(tmp_path / "db") as file:
        file.execute("ALTER TABLE attempts ADD COLUMN restarted_at INTEGER")
    with pytest.raises(Exception, match="cannot be used"):
        Database.open(str(tmp_path / "db"))
    with sqlite3.connect(tmp_path / "db") as file:
        assert file.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("1",)
        assert "alone_s" not in {row[1] for row in file.execute("PRAGMA table_info(runs)")}
