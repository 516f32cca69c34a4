"""What the server does at every beat, create, claim, report and list looks at few rows, however many there are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gyoza_tui.server import run_list
from gyoza_tui.server.roster import held_attempts
from tests.server.cluster import Cluster, Worker, cluster
from tests.server.version_1 import Version1

PARTIAL = ("attempts_held", "attempts_waiting", "runs_secrets", "runs_pending", "runs_after_children")
"""Indexes that hold the few rows that are at work."""
LARGE = {"runs", "attempts", "events", "held_by", "head", "attempts_1", "runs_1"}
NO_INDEX = {f"SEARCH {table}" for table in LARGE}
"""What SQLite plans for the greatest value of a column without an index that it can use."""
ALL_HELD = "SEARCH attempts USING INDEX attempts_held (held=?)"
"""For a question about one run this reads the attempts of every run that is at work."""
EQUALITIES = ({"state": "COMPLETED"}, {"worker_id": "w1"}, {"definition": "op"}, {"topic": "nightly"}, {"parent": "a"})


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """All that is executed meanwhile, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def slow_steps(path: Path, seen: list[tuple[str, Any]]) -> list[str]:
    """Steps of the query plans that sort, or read a large table from end to end."""
    found = []
    with sqlite3.connect(path) as file:
        for statement, parameters in seen:
            if not statement.startswith(("SELECT", "UPDATE", "DELETE")):
                continue
            for *_, step in file.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
                scanned = re.match(r"SCAN (\w+)", step)
                whole = scanned and scanned[1] in LARGE and not step.endswith(PARTIAL)
                whole = whole or step in NO_INDEX or (step == ALL_HELD and "attempts.run_id = " in statement)
                if "TEMP B-TREE" in step or whole:
                    found.append(f"{step}: {statement}")
    return found


def history(gyoza: Cluster) -> Worker:
    gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox"})
    worker = gyoza.worker()
    for _ in range(3):
        gyoza.post("/definitions/op/runs", {"inputs": {}}, 201)
        [run] = worker.take()
        worker.start(run)
        worker.report(run, "COMPLETED")
        worker.forget(run)
    return worker


@pytest.mark.parametrize("wanted", EQUALITIES, ids=lambda wanted: next(iter(wanted)))
def test_no_list_sorts_or_scans_for_an_equality(wanted: dict[str, str], tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        history(gyoza)
        others = {"filter": "train", "since": "2026-01-01T00:00:00Z"} | {k: v for e in EQUALITIES for k, v in e.items()}
        with statements() as seen:
            assert gyoza.client.get("/runs", params=wanted).is_success
            for key, value in others.items():
                assert gyoza.client.get("/runs", params={key: value} | wanted).is_success
            for terms in ("state:completed", "worker:=w1", "topic:=nightly", "parent:=a"):
                gyoza.get("/runs", filter=terms)
            gyoza.get("/definitions")
            gyoza.get("/definitions/op")
        assert len(seen) > 10
        assert slow_steps(tmp_path / "db", seen) == []


def test_nothing_that_workers_do_scans_the_runs(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        with statements() as seen:
            worker = history(gyoza)
            run = gyoza.submit()
            worker.take()
            worker.beat()
            gyoza.tick()
            worker.give_back(run | {"lease": worker.listed[0]["lease"], "attempt": 1})
            gyoza.get("/workers")
            gyoza.run(run["id"])
        assert any("queued" in statement for statement, _ in seen)
        assert slow_steps(tmp_path / "db", seen) == []


def test_nothing_that_families_do_scans_the_runs(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        with statements() as seen:
            worker = history(gyoza)
            gyoza.submit(id="parent", may_submit="any")
            [parent] = worker.take()
            worker.start(parent)
            for name in ("first", "second"):
                worker.submit(parent, id=name)
            gyoza.patch("first", held=True)
            gyoza.patch("parent", priority=9)
            gyoza.tick()
            [child] = worker.take()
            worker.start(child)
            worker.report(child, "COMPLETED")
            gyoza.post("/ended", {"parents": {"parent": 0}})
            gyoza.patch("parent", state="CANCELLED")
            gyoza.tick()
            assert gyoza.run("first")["state"] == "CANCELLED"
        assert any("cascades" in statement for statement, _ in seen)
        assert slow_steps(tmp_path / "db", seen) == []


def test_the_queue_is_read_without_what_is_at_work(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        worker = history(gyoza)
        with statements() as seen:
            for name in ("first", "second"):
                gyoza.submit(id=name)
            assert len(worker.claim()) == 1
            assert gyoza.run("second")["placement"] is None
        assert sum("attempts.held" in statement and "attempts.run_id = " in statement for statement, _ in seen) > 1
        assert slow_steps(tmp_path / "db", seen) == []


def test_a_page_looks_at_so_many_runs_at_most(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another equality, or the time, rules most of them out: the list goes on at the cursor."""
    monkeypatch.setattr(run_list, "LOOKED_AT_MAX", 2)
    for n in range(7):
        gyoza.submit(id=f"run{n}", event_delivery={"topic": "even" if n % 4 == 0 else "odd"})
    for n in (2, 4, 6):
        gyoza.patch(f"run{n}", state="CANCELLED")
    assert list(pages(gyoza, topic="even", state="CANCELLED")) == [["run4"], []]
    assert [one for page in pages(gyoza, filter="topic:=odd state:queued") for one in page] == ["run5", "run3", "run1"]


def pages(gyoza: Cluster, **wanted: str) -> Iterator[list[str]]:
    while True:
        reply = gyoza.client.get("/runs", params=wanted)
        yield [run["id"] for run in reply.json()]
        if (cursor := reply.headers.get("X-Next-Cursor")) is None:
            return
        wanted["after"] = cursor


def waiting(path: Path) -> dict[str, int]:
    """The table of needs; that it says what the runs say is asserted."""
    with sqlite3.connect(path) as file:
        kept = dict(file.execute("SELECT need, runs FROM queued"))
        counted = dict(file.execute("SELECT need, count(*) FROM runs WHERE state = 'PENDING' GROUP BY need"))
    assert kept == counted
    return kept


def test_the_queue_is_counted_as_the_rows_are(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        worker = history(gyoza)
        assert waiting(tmp_path / "db") == {}
        for n in range(3):
            gyoza.submit(id=f"small{n}", constraints={"cpu": 1})
        gyoza.submit(id="big", constraints={"cpu": 8})
        assert sorted(waiting(tmp_path / "db").values()) == [1, 3]
        assert worker.beat()["queued"] == 4
        [run] = worker.take()
        gyoza.patch("big", state="CANCELLED")
        assert list(waiting(tmp_path / "db").values()) == [2]
        worker.give_back(run)
        gyoza.patch("big", state="PENDING")
        assert worker.beat()["queued"] == 4
        assert sorted(waiting(tmp_path / "db").values()) == [1, 3]


def test_a_database_of_version_1_knows_its_queue_and_whose_runs_they_are(tmp_path: Path) -> None:
    old = Version1(tmp_path / "db")
    for n in range(3):
        old.run(f"waits{n}", "PENDING", 1)
        old.run(f"done{n}", "COMPLETED", 1)
    old.close()
    with cluster(tmp_path / "db", checked=False) as gyoza:
        assert list(waiting(tmp_path / "db").values()) == [3]
        assert [run["id"] for run in gyoza.get("/runs", worker_id="w1")] == ["done2", "done1", "done0"]
        assert gyoza.worker("w2").beat()["queued"] == 3


@pytest.mark.parametrize("upgraded", [False, True], ids=["new", "version 1"])
def test_a_beat_reads_no_attempt_that_its_worker_has_ended(tmp_path: Path, upgraded: bool) -> None:
    if upgraded:
        Version1(tmp_path / "db").close()
    with cluster(tmp_path / "db") as gyoza:
        worker = gyoza.worker()
        with statements() as seen:
            worker.beat()
            with gyoza.shared.database.reading() as connection:
                held_attempts(connection, ["w1"])
    with sqlite3.connect(tmp_path / "db") as file:
        steps = [
            step
            for statement, parameters in seen
            if statement.startswith("SELECT") and "attempts.held = 1" in statement
            for *_, step in file.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if "attempts" in step
        ]
    assert steps
    assert all("attempts_held" in step for step in steps), steps


def test_a_worker_is_read_again_only_when_a_row_of_it_has_changed(gyoza: Cluster) -> None:
    first, second = gyoza.worker("w1"), gyoza.worker("w2", tags=["other"])
    gyoza.submit(constraints={"cpu": 9}, tags=["other"])
    first.claim_later()
    second.claim_later()
    gyoza.submit(constraints={"cpu": 9})
    free = {one: gyoza.shared.roster.get(one).free for one in ("w1", "w2")}  # type: ignore[union-attr]
    assert all(free.values())
    gyoza.submit(tags=["other"])
    gyoza.tick()
    assert gyoza.shared.roster.get("w1").free is free["w1"]  # type: ignore[union-attr]
    assert gyoza.shared.roster.get("w2").free is not free["w2"]  # type: ignore[union-attr]


def test_a_claim_of_one_run_reads_no_other_of_a_long_queue(gyoza: Cluster) -> None:
    for n in range(80):
        gyoza.submit(id=f"run{n}")
    worker = gyoza.worker()
    with statements() as seen:
        assert worker.claim(only=["run79", "run78", "none"], wait_s=0) != []
        assert worker.claim(only=["none"], have=[], wait_s=0) == []
    pages_read = [statement for statement, _ in seen if "runs.priority < ?" in statement]
    assert pages_read
    assert not any("LIMIT" in statement for statement in pages_read)


def test_a_change_that_is_not_written_leaves_no_worker_with_less(
    gyoza: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assignment is undone, and so is what the next turn believes to be free."""
    worker = gyoza.worker()
    gyoza.submit(id="first", constraints={"cpu": 8})
    with monkeypatch.context() as broken:
        broken.setattr("gyoza_tui.server.assignment.RunChange.record", _broken)
        assert worker.claim() == []
    assert [run["id"] for run in worker.take()] == ["first"]


def _broken(*_: Any) -> None:
    raise OSError("a fault of ours")
