"""Why a run waits, where other runs wait for their children."""

from __future__ import annotations

from tests.server.cluster import Cluster


def test_memory_that_waiting_runs_hold(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2", resources={"cpu_cores": 1, "ram_mb": 100})
    for ram_mb in (3000, 3000, 0):
        worker.wait(worker.start_parent(constraints={"ram_mb": ram_mb}))
    big = gyoza.submit(constraints={"ram_mb": 4000})
    assert gyoza.run(big["id"])["placement"] == "waits for memory held by 2 waiting runs"
    other.wait(other.start_parent(constraints={"ram_mb": 50}))
    small = gyoza.submit(constraints={"ram_mb": 60, "cpu": 1}, tags=[])
    assert gyoza.run(small["id"])["placement"] is None
    worker.fields["resources"] = {"cpu_cores": 8, "ram_mb": 50}
    worker.beat()
    assert gyoza.run(small["id"])["placement"] == "waits for memory held by 1 waiting run"


def test_a_gpu_that_a_waiting_run_holds(gyoza: Cluster) -> None:
    worker = gyoza.worker(resources={"cpu_cores": 8, "ram_mb": 8192, "gpus": [{"id": 0, "vram_mb": 16000}]})
    worker.wait(worker.start_parent(constraints={"gpu_id": 0}))
    run = gyoza.submit(constraints={"vram_mb": 4000})
    assert gyoza.run(run["id"])["placement"] == "waits for memory held by 1 waiting run"


def test_a_parent_that_holds_the_slot_and_does_not_wait(gyoza: Cluster) -> None:
    worker = gyoza.worker(max_runs=1)
    parent = worker.start_parent()
    child = worker.submit(parent)
    plain = gyoza.submit()
    assert gyoza.run(child["id"])["placement"] == "waits for a worker with enough free", "it may wait soon"
    gyoza.pass_time(31, worker)
    assert gyoza.run(child["id"])["placement"] == "its parent holds the slot and does not wait"
    assert [run["placement"] for run in gyoza.get("/runs", state="PENDING")] == [
        "waits for a worker with enough free",
        "its parent holds the slot and does not wait",
    ]
    gyoza.patch(plain["id"], state="CANCELLED")
    worker.wait(parent)
    assert gyoza.run(child["id"])["placement"] is None


def test_a_child_that_needs_more_than_its_parent_s_slot(gyoza: Cluster) -> None:
    worker = gyoza.worker(max_runs=2)
    parent = worker.start_parent(constraints={"cpu": 1})
    worker.start_parent(constraints={"cpu": 6})
    child = worker.submit(parent, constraints={"cpu": 3})
    gyoza.pass_time(31, worker)
    assert gyoza.run(child["id"])["placement"] == "waits for a worker with enough free"


def test_a_draining_worker_takes_what_its_own_runs_wait_for(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = worker.start_parent()
    child, plain = worker.submit(parent), gyoza.submit()
    worker.fields["state"] = "draining"
    worker.wait(parent)
    closed = "every worker that could take it is paused, draining, away or silent"
    assert gyoza.run(child["id"])["placement"] is None
    assert gyoza.run(plain["id"])["placement"] == closed
    worker.fields["state"] = "paused"
    worker.beat()
    assert gyoza.run(child["id"])["placement"] == closed


def test_one_that_was_given_back_for_its_children(gyoza: Cluster) -> None:
    worker = gyoza.worker(features=["waiting"])
    parent = worker.start_parent(constraints={"ram_mb": 8000})
    worker.submit(parent, constraints={"ram_mb": 4000})
    worker.wait(parent)
    gyoza.pass_time(40, worker)
    worker.give_back(parent)
    words = "waits for its children to end (1 at work): they need the memory that it held"
    assert gyoza.run(parent["id"])["placement"] == words
