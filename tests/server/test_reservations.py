"""A run that needs much of a worker gets one although smaller ones keep coming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gyoza_tui.server.shared_state import Timings
from tests.server.cluster import Cluster, Worker, cluster

SMALL, BIG = {"cpu": 4}, {"cpu": 8}


def filled(gyoza: Cluster) -> tuple[Worker, list[dict[str, Any]]]:
    """A worker of eight cores with two small runs, a big one that waits, and many small ones after it."""
    worker = gyoza.worker()
    for _ in range(2):
        gyoza.submit(constraints=SMALL)
    runs = worker.take(2)
    gyoza.submit(id="big", constraints=BIG)
    for _ in range(20):
        gyoza.submit(constraints=SMALL)
    return worker, runs


def turn(gyoza: Cluster, worker: Worker, runs: list[dict[str, Any]], seconds: float = 10) -> list[dict[str, Any]]:
    """The older run ends, and what the worker gets for it comes last."""
    done, *rest = runs
    worker.start(done)
    worker.report(done, "COMPLETED")
    worker.forget(done)
    gyoza.clock.advance(seconds)
    worker.beat()
    gyoza.tick()
    return [*rest, *worker.take(2)]


def rounds_until_big(gyoza: Cluster) -> int:
    worker, runs = filled(gyoza)
    for number in range(15):
        runs = turn(gyoza, worker, runs)
        if any(run["id"] == "big" for run in runs):
            return number
        if not runs:
            runs = worker.take(2)
    return 99


def test_a_big_run_gets_a_worker_once_it_was_passed_for_a_minute(gyoza: Cluster) -> None:
    assert 6 <= rounds_until_big(gyoza) <= 9


def test_a_reservation_is_shown_and_ends_with_its_run(gyoza: Cluster) -> None:
    worker, runs = filled(gyoza)
    for _ in range(8):
        if gyoza.get("/workers/w1")["reserved"]:
            break
        runs = turn(gyoza, worker, runs)
    assert gyoza.get("/workers/w1")["reserved"].startswith("reserved for big since ")
    waits = "worker w1 is reserved for it: waits until enough of the runs there have ended"
    assert gyoza.run("big")["placement"] == waits
    named = gyoza.submit(constraints={"cpu": 1})
    assert worker.claim(5) == [], "half of it is free, and kept"
    urgent = gyoza.submit(priority=9, constraints={"cpu": 3})
    assert [run["id"] for run in worker.take(5)] == [urgent["id"]], "a higher priority goes first"
    [asked_for] = worker.claim(5, only=[named["id"]])
    assert asked_for["id"] == named["id"], "so does a run asked for"
    worker.listed.append({name: asked_for[name] for name in ("id", "attempt", "lease")})
    gyoza.patch("big", state="CANCELLED")
    gyoza.clock.advance(2)
    worker.beat()
    worker.claim(1)
    assert gyoza.get("/workers/w1")["reserved"] is None


def test_a_held_run_gets_no_worker(gyoza: Cluster) -> None:
    worker, runs = filled(gyoza)
    gyoza.patch("big", held=True)
    for _ in range(10):
        runs = turn(gyoza, worker, runs)
    assert gyoza.get("/workers/w1")["reserved"] is None
    gyoza.patch("big", held=False)
    while not gyoza.get("/workers/w1")["reserved"]:
        runs = turn(gyoza, worker, runs)
    gyoza.patch("big", held=True)
    gyoza.clock.advance(2)
    worker.beat()
    worker.claim(1)
    assert gyoza.get("/workers/w1")["reserved"] is None


def test_it_starves_where_nothing_is_reserved(tmp_path: Path) -> None:
    with cluster(tmp_path / "db", timings=Timings(passed_over_s=0)) as gyoza:
        assert rounds_until_big(gyoza) == 99
