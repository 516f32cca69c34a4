"""An older database with a history answers, once it is taken up, as one of this version with the same history."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.server.shared_state import Timings
from tests.server.cluster import Cluster, FakeClock, cluster
from tests.server.old_database import TABLES, as_version


def _history(gyoza: Cluster) -> None:
    """Runs in every state, one given back, one taken back from a worker that fell silent."""
    first, second = gyoza.worker("w1"), gyoza.worker("w2", tags=["far"])
    gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox", "secret_env": {"TOKEN": "hush"}})
    for name in ("completed", "failed", "cancelled", "running", "assigned", "retried", "released"):
        attempts = 2 if name == "retried" else 1
        gyoza.submit(id=name, event_delivery={"topic": "t"}, retry_policy={"max_attempts": attempts})
    gyoza.submit(id="evicted", tags=["far"])
    runs = {run["id"]: run for worker in (first, second) for run in worker.take(7)}
    for name in ("completed", "failed", "cancelled", "running", "retried"):
        first.start(runs[name])
    second.start(runs["evicted"])
    first.report(runs["completed"], "PROGRESS", msg=50)
    first.report(runs["completed"], "COMPLETED", payload={"n": 1})
    first.report(runs["failed"], "FAILED", payload={"reason": "invalid_input", "message": "no"})
    first.report(runs["retried"], "FAILED", payload={"reason": "op_error", "message": "no"})
    gyoza.patch("cancelled", state="CANCELLED")
    first.give_back(runs["released"])
    for name in ("completed", "failed", "cancelled", "retried", "released"):
        first.forget(runs[name])
    first.beat()
    gyoza.pass_time(20, first)
    gyoza.post("/definitions/op/runs", {"id": "of-definition"}, 201)
    for number in range(3):
        gyoza.submit(id=f"waits{number}", priority=number, constraints={"cpu": 2})
    gyoza.submit(id="nowhere", tags=["none-has-it"])


def _answers(gyoza: Cluster) -> dict[str, Any]:
    """Lists and placement, then what claims get until nothing is left to take."""
    lists: list[dict[str, Any]] = [{}, *({"state": state} for state in RunState)]
    lists += [{"worker_id": "w1"}, {"worker_id": "w2"}, {"filter": "op:busybox"}, {"filter": "topic:t"}]
    told: dict[str, Any] = {str(query): gyoza.get("/runs", **query) for query in lists}
    told |= {path: gyoza.get(path) for path in ("/workers", "/definitions", "/topics/t/events")}
    told |= {run["id"]: gyoza.run(run["id"]) for run in gyoza.get("/runs")}
    first, third = gyoza.worker("w1"), gyoza.worker("w3", tags=["far"], resources={"cpu_cores": 3, "ram_mb": 100})
    told["beats"] = [worker.beat()["queued"] for worker in (first, third)]
    told["claims"] = [[(run["id"], run["attempt"]) for run in worker.take(9)] for worker in (first, third)]
    gyoza.clock.advance(600)
    for worker in (first, third):
        worker.beat()
    gyoza.tick()
    told["later"] = [[(run["id"], run["attempt"]) for run in worker.take(9)] for worker in (first, third)]
    told["placement"] = {run["id"]: gyoza.run(run["id"])["placement"] for run in gyoza.get("/runs")}
    return told


def _want(gyoza: Cluster, worker_id: str) -> int:
    seq: int = gyoza.client.patch(f"/workers/{worker_id}", json={"wanted": "paused"}).json()["seq"]
    return seq


@pytest.fixture(params=TABLES)
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """A database of an older version, and one of this version with the same history."""
    new, old = tmp_path / "new", tmp_path / "old"
    with cluster(new, timings=Timings(lease_s=8, grace_s=4, failover_s=4)) as gyoza:
        _history(gyoza)
        states = {run["state"] for run in gyoza.get("/runs")}
    assert states == set(RunState)
    with closing(sqlite3.connect(new)) as file, file:
        assert file.execute("SELECT count(*) FROM pauses").fetchone() == (1,)
        assert file.execute("SELECT count(*) FROM attempts WHERE taken_back").fetchone() == (1,)
        if request.param == 2:
            file.execute("UPDATE runs SET given_back = 0, given_back_why = NULL")  # what it did not know
    as_version(request.param, new, old)
    return old, new


def test_it_answers_as_a_new_one(both: tuple[Path, Path]) -> None:
    answers = []
    for path in both:
        clock = FakeClock()
        clock.advance(300)
        with cluster(path, clock, checked=False) as gyoza:
            answers.append(_answers(gyoza))
            gyoza.worker("w9", features=["wanted_state"])
            assert _want(gyoza, "w9") == 1
    upgraded, new = answers
    for what, answer in new.items():
        assert upgraded[what] == answer, what
    assert new["claims"] != [[], []]
    assert new["later"] != [[], []]
