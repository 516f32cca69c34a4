"""Attempts that wait for their children, or are frozen: what the server makes of the beats that say so."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.server.shared_state import Timings
from tests.server.cluster import SINCE, Cluster, cluster, waiting


def told(gyoza: Cluster, run: dict[str, Any]) -> list[str]:
    """What the timeline says of waiting and freezing."""
    return [event["msg"] for event in gyoza.run(run["id"])["events"] if event["type"] == "INFO"]


def test_a_run_says_what_it_waits_for_and_stays_running(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = worker.start_parent()
    assert gyoza.run(run["id"])["waiting"] is None
    worker.wait(run)
    worker.wait(run, left=5)
    shown = gyoza.run(run["id"])
    assert shown["waiting"] == waiting(5)
    assert shown["state"] == "RUNNING"
    assert gyoza.get("/runs")[0]["waiting"] == waiting(5)
    assert gyoza.get("/workers/w1")["running_ops"][0]["waiting"] == waiting(5)
    worker.return_from_wait(run)
    assert gyoza.run(run["id"])["waiting"] is None


def test_a_waiting_attempt_counts_neither_slot_nor_cpu_but_its_memory(gyoza: Cluster) -> None:
    worker = gyoza.worker(max_runs=1, resources={"cpu_cores": 2, "ram_mb": 1000})
    run = worker.start_parent(constraints={"cpu": 2, "ram_mb": 600})
    child = gyoza.submit(constraints={"cpu": 2, "ram_mb": 500})
    assert worker.claim() == []
    worker.wait(run)
    free = gyoza.get("/workers/w1")["free"]
    assert (free["cpu_cores"], free["ram_mb"]) == (2, 400)
    assert worker.claim() == [], "its memory is not free"
    gyoza.patch(child["id"], state="CANCELLED")
    small = gyoza.submit(constraints={"cpu": 2, "ram_mb": 400})
    assert [run["id"] for run in worker.take()] == [small["id"]]
    gyoza.check_rooms()
    worker.return_from_wait(run)
    gyoza.submit()
    assert worker.claim() == [], "one more than the slots is at work: the parent has returned"
    assert gyoza.get("/workers/w1")["free"]["cpu_cores"] == 0


def test_a_waiting_attempt_keeps_its_gpu(gyoza: Cluster) -> None:
    worker = gyoza.worker(resources={"cpu_cores": 8, "ram_mb": 8192, "gpus": [{"id": 0, "vram_mb": 16000}]})
    run = worker.start_parent(constraints={"vram_mb": 12000})
    worker.wait(run)
    gyoza.submit(id="large", constraints={"vram_mb": 8000})
    gyoza.submit(id="small", constraints={"vram_mb": 4000})
    assert [run["id"] for run in worker.take(2)] == ["small"]


def test_a_beat_that_is_older_than_the_last_says_nothing_of_waiting(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = worker.start_parent()
    worker.fields["beat"] = 7
    worker.wait(run)
    worker.fields["beat"] = 6
    worker.return_from_wait(run)
    assert gyoza.run(run["id"])["waiting"] == waiting()
    worker.beat(beat=8)
    assert gyoza.run(run["id"])["waiting"] is None
    worker.identity["epoch"], worker.fields["beat"] = 2, 1
    worker.wait(run, left=3)
    assert gyoza.run(run["id"])["waiting"] == waiting(3), "another start counts from one again"


def test_only_the_lease_of_the_attempt_says_that_it_waits(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    run = worker.start_parent()
    own = {"id": run["id"], "attempt": run["attempt"], "waiting": waiting()}
    for sender, lease in ((worker, "another"), (other, run["lease"])):
        reply = sender.beat(running_ops=[own | {"lease": lease}])
        assert reply["runs"][run["id"]]["verdict"] == "lost"
        assert gyoza.run(run["id"])["waiting"] is None


def test_a_change_of_waiting_answers_the_worker_s_open_claims(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(max_runs=1), gyoza.worker("w2")
    run = worker.start_parent()
    claim, others = worker.claim_later(0), other.claim_later()
    worker.wait(run)
    assert claim.result(5) == []
    claim = worker.claim_later()
    worker.wait(run, left=7)
    assert not claim.done(), "it still waits"
    worker.return_from_wait(run)
    assert claim.result(5) == []
    assert not others.done()


def test_a_change_of_waiting_answers_what_the_worker_asks_of_ends(gyoza: Cluster) -> None:
    worker = gyoza.worker(max_runs=1)
    run = worker.start_parent()

    def ask() -> Future[Any]:
        asked = {"parents": {"another": 0}, "wait_s": 20, "worker_id": worker.id}
        return gyoza.threads.submit(gyoza.post, "/ended", asked)

    asked = ask()
    worker.wait(run)
    assert asked.result(5)["runs"] == []
    asked = ask()
    worker.wait(run, left=7)
    assert not asked.done(), "it still waits"
    worker.return_from_wait(run)
    assert asked.result(5)["runs"] == []


def test_the_timeline_has_the_first_wait_and_the_last_return(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = worker.start_parent()
    for turn in range(3):
        worker.wait(run)
        gyoza.clock.advance(10)
        worker.return_from_wait(run)
        worker.report(run, "ERROR", msg=f"turn {turn}")
    expected = "continues: it waited for its children 3 times, 30 s in total"
    assert told(gyoza, run) == ["waiting for 8 of 8 children", expected]


def test_an_attempt_that_ends_waits_no_longer(gyoza: Cluster) -> None:
    worker = gyoza.worker(max_runs=1)
    run = worker.start_parent(constraints={"ram_mb": 100})
    worker.say(run, waiting=waiting(), frozen=SINCE)
    gyoza.patch(run["id"], state="CANCELLED")
    shown = gyoza.run(run["id"])
    assert (shown["waiting"], shown["frozen"]) == (None, None)
    assert gyoza.get("/workers/w1")["free"]["ram_mb"] == 8092, "until its worker has let it go"
    worker.forget(run)
    gyoza.pass_time(1, worker)
    assert gyoza.get("/workers/w1")["free"]["ram_mb"] == 8192
    gyoza.patch(run["id"], state="PENDING")
    [again] = worker.take()
    worker.start(again)
    assert gyoza.run(run["id"])["waiting"] is None


def test_a_frozen_run_says_since_when(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = worker.start_parent()
    worker.say(run, frozen=SINCE)
    assert gyoza.run(run["id"])["frozen"] is not None
    gyoza.clock.advance(12)
    worker.say(run, frozen=None)
    assert gyoza.run(run["id"])["frozen"] is None
    assert told(gyoza, run) == ["frozen", "thawed after 12 s"]


@pytest.mark.parametrize("field", ["waiting", "frozen"])
def test_it_survives_a_restart_of_the_server(field: str, tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        worker = gyoza.worker(max_runs=1)
        run = worker.start_parent()
        worker.say(run, **{field: waiting() if field == "waiting" else SINCE})
    with cluster(tmp_path / "db", gyoza.clock) as gyoza:
        worker.cluster = gyoza
        assert gyoza.run(run["id"])[field] is not None
        worker.beat()
        gyoza.submit()
        assert len(worker.claim()) == (field == "waiting"), "a frozen one keeps its slot"


def test_the_answer_to_a_beat_names_what_the_server_understands(gyoza: Cluster) -> None:
    assert {"waiting", "freeze"} <= set(gyoza.worker().beat()["features"])


def test_a_waiting_attempt_that_comes_back_late_needs_no_cpu(tmp_path: Path) -> None:
    with cluster(tmp_path / "db", timings=Timings(lease_s=10, grace_s=10, failover_s=0)) as gyoza:
        worker = gyoza.worker(max_runs=1, resources={"cpu_cores": 2, "ram_mb": 1000})
        run = worker.start_parent(constraints={"cpu": 2, "ram_mb": 600}, timeout_s=100)
        worker.wait(run)
        gyoza.pass_time(600)
        assert gyoza.state(run) == "PENDING"
        late, worker.listed = worker.listed, []
        worker.beat()
        other = gyoza.submit(priority=9, constraints={"cpu": 2})
        worker.take()
        worker.listed += late
        assert worker.beat()["runs"][run["id"]]["verdict"] == "ok"
        shown = gyoza.run(run["id"])
        assert shown["state"] == "RUNNING"
        assert shown["waiting"] == waiting()
        assert gyoza.state(other) == "ASSIGNED"
        worker.return_from_wait(run)
        gyoza.tick()
        assert gyoza.state(run) == "RUNNING", "it waited while it was not heard of"


@pytest.mark.parametrize("field", ["waiting", "frozen"])
def test_no_attempt_is_overdue_for_the_time_for_which_it_was_taken_back(field: str, tmp_path: Path) -> None:
    """Also where it has returned, or was thawed, before its worker is heard of again."""
    with cluster(tmp_path / "db", timings=Timings(lease_s=10, grace_s=10, failover_s=0)) as gyoza:
        worker = gyoza.worker()
        run = worker.start_parent(timeout_s=100)
        worker.say(run, **{field: waiting() if field == "waiting" else SINCE})
        gyoza.pass_time(600)
        assert gyoza.state(run) == "PENDING"
        worker.say(run, **{field: None})
        gyoza.pass_time(90, worker)
        assert gyoza.state(run) == "RUNNING"
        gyoza.pass_time(40, worker)
        assert gyoza.state(run) == "FAILED"


@pytest.mark.parametrize("field", ["waiting", "frozen"])
def test_the_server_stops_no_overdue_run_for_the_time_that_it_waited_or_was_frozen(field: str, tmp_path: Path) -> None:
    with cluster(tmp_path / "db", timings=Timings(lease_s=10, grace_s=10, failover_s=0)) as gyoza:
        worker = gyoza.worker()
        run = worker.start_parent(timeout_s=100)
        gyoza.pass_time(90, worker)
        worker.say(run, **{field: waiting() if field == "waiting" else SINCE})
        gyoza.pass_time(1000, worker)
        assert gyoza.state(run) == "RUNNING"
        worker.say(run, **{field: None})
        gyoza.pass_time(25, worker)
        assert gyoza.state(run) == "RUNNING", "115 s of its own, of 120"
        gyoza.pass_time(12, worker)
        assert gyoza.state(run) == "FAILED"
