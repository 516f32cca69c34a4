"""A database that is damaged, removed, locked or shared: in words, at the cost of one run at most."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gyoza_tui.server.database import Database
from gyoza_tui.server.errors import ServerError
from tests.server.cluster import cluster
from tests.server.process import server_process

ODD_META = {
    "DELETE FROM meta WHERE key = 'schema_version'": "nothing as schema_version",
    "UPDATE meta SET value = 'three' WHERE key = 'schema_version'": "'three' as schema_version",
    "UPDATE meta SET value = '-1' WHERE key = 'schema_version'": "'-1' as schema_version",
    "UPDATE meta SET value = '0' WHERE key = 'schema_version'": "'0' as schema_version",
    "DELETE FROM meta WHERE key = 'server_id'": "nothing as server_id",
    "UPDATE meta SET value = '' WHERE key = 'server_id'": "'' as server_id",
    "DROP TABLE meta": "nothing as schema_version",
}


@pytest.mark.parametrize("change", ODD_META)
def test_odd_rows_of_meta_are_refused_in_words(change: str, tmp_path: Path) -> None:
    Database.open(str(tmp_path / "db")).close()
    execute(tmp_path / "db", change)
    with pytest.raises(ServerError, match=f"has {ODD_META[change]} in its table meta"):
        Database.open(str(tmp_path / "db"))


def test_a_damaged_file_is_refused_in_words(tmp_path: Path) -> None:
    Database.open(str(tmp_path / "db")).close()
    with closing(sqlite3.connect(tmp_path / "db")) as file:
        page, size = (
            file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs'").fetchone()[0],
            file.execute("PRAGMA page_size").fetchone()[0],
        )
    with (tmp_path / "db").open("r+b") as raw:
        raw.seek((page - 1) * size)
        raw.write(b"\xff" * 64)
    with pytest.raises(ServerError, match=r"is damaged|malformed"):
        Database.open(str(tmp_path / "db"))


def test_one_file_by_two_names_has_one_server(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "db")
    first = Database.open(str(tmp_path / "link"))
    try:
        with pytest.raises(ServerError, match="in use by pid"):
            Database.open(str(tmp_path / "db"))
        (tmp_path / "hard").hardlink_to(tmp_path / "db")
        with pytest.raises(ServerError, match="more than one name"):
            Database.open(str(tmp_path / "hard"))
    finally:
        first.close()


def test_a_file_that_has_gone_takes_no_change_and_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with cluster(tmp_path / "db") as gyoza:
        gyoza.submit(id="before")
        (tmp_path / "db").rename(tmp_path / "elsewhere")
        for _ in range(2):
            refused = gyoza.post("/runs", {"image": "busybox", "id": "lost"}, 503)
            assert "removed or replaced" in refused["detail"]
        assert "removed or replaced" in gyoza.get("/health", 503)["detail"]
        assert caplog.text.count("removed or replaced") == 1
        (tmp_path / "db").touch()
        assert "removed or replaced" in gyoza.get("/health", 503)["detail"], "another file is there"
        (tmp_path / "elsewhere").rename(tmp_path / "db")
        assert gyoza.get("/health")["status"] == "ok"
        gyoza.submit(id="after")
        assert [run["id"] for run in gyoza.get("/runs")] == ["after", "before"]


def test_the_write_lock_of_another_process_is_refused_in_time(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza, closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert "locked" in gyoza.post("/runs", {"image": "busybox"}, 503)["detail"]
        assert time.monotonic() - began < gyoza.shared.timings.heartbeat_s
        assert gyoza.get("/runs") == []
        other.execute("ROLLBACK")
        gyoza.submit()


DAMAGE = {
    "spec": "UPDATE runs SET spec = '{' WHERE id = 'bad'",
    "no spec": "UPDATE runs SET spec = '[]' WHERE id = 'bad'",
    "inputs": "UPDATE runs SET inputs = '\"' WHERE id = 'bad'",
    "cut inputs": "UPDATE runs SET inputs = '{\"n\":' WHERE id = 'bad'",
    "need": "UPDATE runs SET need = 'cpu' WHERE id = 'bad'",
    "time": "UPDATE runs SET created_at = 9e18 WHERE id = 'bad'",
    "attempt": "UPDATE attempts SET constraints = '' WHERE run_id = 'bad'",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_is_shown_as_one_and_no_other_suffers(kind: str, tmp_path: Path) -> None:
    with cluster(tmp_path / "db", checked=False) as gyoza:
        gyoza.submit(id="good", constraints={"cpu": 1})
        gyoza.submit(id="bad", constraints={"cpu": 1}, priority=9)
        execute(tmp_path / "db", DAMAGE[kind])
        listed = {run["id"]: run for run in gyoza.get("/runs")}
        assert listed.keys() == {"good", "bad"}
        assert "damaged" in (listed["bad"]["placement"] or "") + (gyoza.run("bad")["placement"] or "")
        assert [run["id"] for run in gyoza.get("/runs", filter="op:busybox", state="PENDING")][-1] == "good"
        worker = gyoza.worker()
        taken = [run["id"] for _ in range(2) for run in worker.take()]
        assert "good" in taken
        gyoza.tick()


def test_a_damaged_worker_is_known_again_at_its_next_beat(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        gyoza.worker("w1")
        gyoza.worker("w2")
    execute(tmp_path / "db", "UPDATE workers SET body = '{' WHERE worker_id = 'w1'")
    with cluster(tmp_path / "db") as gyoza:
        assert [one["worker_id"] for one in gyoza.get("/workers")] == ["w2"]
        gyoza.worker("w1")
        assert [one["worker_id"] for one in gyoza.get("/workers")] == ["w1", "w2"]


def test_a_damaged_wanted_state_is_none(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        worker = gyoza.worker("w1", features=["wanted_state"])
        gyoza.client.patch("/workers/w1", json={"wanted": "paused"})
        execute(tmp_path / "db", "UPDATE wanted SET state = 'asleep', since = 9e18")
        assert worker.beat()["wanted"] is None
        assert gyoza.get("/workers")[0]["wanted"] is None
        assert gyoza.client.patch("/workers/w1", json={"wanted": "paused"}).status_code == 200
        assert worker.beat()["wanted"]["state"] == "paused"


def test_a_server_on_a_damaged_database_ends_with_one_line(tmp_path: Path) -> None:
    Database.open(str(tmp_path / "db")).close()
    execute(tmp_path / "db", "DROP TABLE meta")
    with server_process(tmp_path / "db") as server:
        assert server.process.wait(20) == 2
        assert len(server.words().splitlines()) == 1


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement)
