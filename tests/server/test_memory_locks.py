"""Waiting runs that hold the memory which their children need are given back, as few as possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.server.memory_holders import Holder, in_its_way
from gyoza_tui.server.reservations import Reservation
from gyoza_tui.server.scheduler import PendingRun
from gyoza_tui.server.shared_state import Timings
from tests.server.cluster import SINCE, Cluster, Worker, cluster
from tests.server.test_scheduler import need, room

FEATURES = ["waiting", "freeze"]


def holder(run_id: str, started_at: int, worker_id: str = "w", *, may_go: bool = True, **constraints: Any) -> Holder:
    return Holder(run_id, worker_id, Constraints(**constraints), started_at, may_go)


def going(need: Any, rooms: list[Any], holders: list[Holder], own: frozenset[str] = frozenset()) -> list[str]:
    return [each.run_id for each in in_its_way(need, own, rooms, holders)]


def test_the_youngest_that_suffice_go() -> None:
    holders = [holder(f"{n}", n, ram_mb=2000) for n in range(4)]
    assert going(need(ram_mb=1000), [room()], holders) == ["3"]
    assert going(need(ram_mb=4000), [room()], holders) == ["3", "2"]
    assert going(need(ram_mb=9000), [room()], holders) == [], "it never fits"


def test_none_goes_that_holds_nothing_of_it() -> None:
    box = room(gpus=[8000])
    holders = [holder("gpu", 1, vram_mb=8000, gpu_id=0), holder("memory", 2, ram_mb=8000), holder("nothing", 3)]
    assert going(need(vram_mb=1000), [box], holders) == ["gpu"]
    assert going(need(ram_mb=1000), [box], holders) == ["memory"]
    assert going(need(), [box], holders) == []


def test_they_go_where_the_fewest_suffice() -> None:
    holders = [
        holder("a", 1, "many", ram_mb=4000),
        holder("b", 2, "many", ram_mb=4000),
        holder("c", 0, "one", ram_mb=9),
    ]
    rooms = [room("many"), room("one", ram_mb=6000)]
    assert going(need(ram_mb=6000), rooms, holders) == ["c"]


def test_none_goes_while_another_worker_may_have_room() -> None:
    held = [holder("a", 1, ram_mb=8000)]
    assert going(need(ram_mb=1000), [room(), room("other")], held) == []
    assert going(need(ram_mb=1000), [room(), room("other", takes_work=False)], held) == ["a"]


def test_one_that_may_not_go_stays() -> None:
    holders = [holder("a", 1, ram_mb=4000), holder("b", 2, may_go=False, ram_mb=4000)]
    assert going(need(ram_mb=1000), [room()], holders) == ["a"]
    assert going(need(ram_mb=5000), [room()], holders) == []


def test_a_draining_worker_is_one_that_may_have_room_for_its_own() -> None:
    held = [holder("a", 1, ram_mb=8000)]
    draining = room(takes_work=False, takes_children=True)
    assert going(need(ram_mb=1000), [draining], held) == []
    assert going(need(ram_mb=1000), [draining], held, frozenset({"w"})) == ["a"]


def locked(gyoza: Cluster, **fields: Any) -> tuple[Worker, dict[str, Any]]:
    """A worker whose memory a parent holds that waits for a child which needs it."""
    worker = gyoza.worker(features=FEATURES)
    parent = worker.start_parent(constraints={"ram_mb": 8000})
    worker.submit(parent, id="child", constraints={"ram_mb": 4000}, **fields)
    worker.wait(parent, 1, 1)
    return worker, parent


def wanted(worker: Worker, run: dict[str, Any]) -> str | None:
    want: str | None = worker.beat()["runs"][run["id"]]["want"]
    return want


def test_a_parent_that_locks_its_child_out_is_given_back_and_starts_after_it(gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    gyoza.tick()
    gyoza.pass_time(29, worker)
    assert wanted(worker, parent) is None
    gyoza.pass_time(2, worker)
    assert wanted(worker, parent) == "release"
    worker.give_back(parent)
    worker.forget(parent)
    [child] = worker.take(9)
    assert child["id"] == "child"
    worker.start(child)
    gyoza.pass_time(9, worker)
    assert worker.take() == [], "the parent would take the memory again"
    worker.report(child, "COMPLETED")
    worker.forget(child)
    gyoza.pass_time(1, worker)
    [again] = worker.take()
    assert (again["id"], again["attempt"]) == (parent["id"], 2), "and on the same worker: nothing was wrong there"


def test_a_parent_that_returns_meanwhile_is_left_alone(gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    gyoza.pass_time(40, worker)
    assert wanted(worker, parent) == "release"
    gyoza.patch("child", state="CANCELLED")
    gyoza.tick()
    assert worker.return_from_wait(parent)["runs"][parent["id"]]["want"] is None


def test_no_more_are_given_back_while_one_is_on_its_way(gyoza: Cluster) -> None:
    worker = gyoza.worker(features=FEATURES)
    first, second = (worker.start_parent(constraints={"ram_mb": 4000}) for _ in range(2))
    for parent in (first, second):
        worker.submit(parent, constraints={"ram_mb": 4000})
        worker.wait(parent)
    gyoza.pass_time(100, worker)
    assert sorted([str(wanted(worker, first)), str(wanted(worker, second))]) == ["None", "release"]


def test_a_lock_over_three_generations_is_broken_one_by_one(gyoza: Cluster) -> None:
    worker = gyoza.worker(features=FEATURES)
    oldest = worker.start_parent(constraints={"ram_mb": 4000})
    worker.submit(oldest, id="parent", may_submit="any", constraints={"ram_mb": 4000})
    [parent] = worker.take()
    worker.start(parent)
    worker.wait(oldest)
    worker.submit(parent, id="child", constraints={"ram_mb": 6000})
    worker.wait(parent)
    gyoza.pass_time(40, worker)
    assert (wanted(worker, oldest), wanted(worker, parent)) == ("release", "release"), "neither is enough"
    for run in (parent, oldest):
        worker.give_back(run)
        worker.forget(run)
    for name in ("child", "parent", oldest["id"]):
        gyoza.pass_time(1, worker)
        [run] = worker.take(9)
        assert run["id"] == name
        worker.start(run)
        worker.report(run, "COMPLETED")
        worker.forget(run)


def test_a_worker_that_has_room_and_takes_nothing_hides_no_lock(gyoza: Cluster) -> None:
    """As one that claims only the run that it was started for, or whose disk is full."""
    worker, parent = locked(gyoza)
    idle = gyoza.worker("idle")
    gyoza.pass_time(40, worker, idle)
    assert wanted(worker, parent) == "release"


def test_a_worker_that_has_room_and_is_kept_for_a_run_may_take_the_child_after_it(gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    kept = gyoza.worker("kept")
    kept_for = Reservation(PendingRun("large", (0, 0, 0)), need(), 0.0)
    gyoza.shared.reservations.by_worker = {"kept": kept_for}
    gyoza.pass_time(40, worker, kept)
    assert wanted(worker, parent) is None


def test_a_worker_that_is_busy_may_have_room_when_its_runs_have_ended(gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    busy = gyoza.worker("busy")
    gyoza.submit(priority=9, constraints={"ram_mb": 6000})
    assert len(busy.take()) == 1
    gyoza.pass_time(40, worker, busy)
    assert wanted(worker, parent) is None


def test_a_child_of_one_that_was_given_back_is_looked_after_too(gyoza: Cluster) -> None:
    """Another run begins to wait with the memory that was freed."""
    worker, parent = locked(gyoza)
    gyoza.pass_time(40, worker)
    worker.give_back(parent)
    worker.forget(parent)
    other = worker.start_parent(priority=9, constraints={"ram_mb": 8000})
    worker.wait(other)
    gyoza.pass_time(40, worker)
    assert wanted(worker, other) == "release"


def test_no_run_is_given_back_that_locks_nothing(gyoza: Cluster) -> None:
    """The child waits for a run that does not wait, and so ends by itself."""
    worker = gyoza.worker(features=FEATURES)
    parent = worker.start_parent(constraints={"ram_mb": 2000})
    worker.start_parent(constraints={"ram_mb": 4000})
    worker.submit(parent, constraints={"ram_mb": 5000})
    worker.wait(parent, 1, 1)
    gyoza.pass_time(100, worker)
    assert wanted(worker, parent) is None


@pytest.mark.parametrize("reason", ["frozen", "old"])
def test_a_run_that_cannot_be_given_back_is_left(reason: str, gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    if reason == "frozen":
        worker.say(parent, frozen=SINCE)
    else:
        worker.fields["features"] = []
    gyoza.pass_time(100, worker)
    assert gyoza.run(parent["id"])["state"] == "RUNNING"
    assert wanted(worker, parent) is None


def test_a_child_that_nobody_waits_for_has_time(gyoza: Cluster) -> None:
    worker = gyoza.worker(features=FEATURES)
    parent = worker.start_parent(constraints={"ram_mb": 8000})
    worker.wait(parent)
    other = gyoza.worker("w2", resources={"cpu_cores": 1, "ram_mb": 100}, features=FEATURES)
    awake = other.start_parent(constraints={"ram_mb": 10})
    other.submit(awake, constraints={"ram_mb": 4000})
    gyoza.pass_time(100, worker, other)
    assert wanted(worker, parent) is None


def test_a_released_parent_that_ends_all_the_same_is_over(gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    gyoza.pass_time(34, worker)
    gyoza.patch("child", state="CANCELLED")
    worker.return_from_wait(parent)
    worker.report(parent, "FAILED", payload={"reason": "op_error"})
    worker.forget(parent)
    gyoza.patch(parent["id"], state="PENDING")
    assert [run["id"] for run in worker.take()] == [parent["id"]]


def test_a_released_parent_that_ended_waits_for_no_child_when_it_is_retried(gyoza: Cluster) -> None:
    worker, parent = locked(gyoza)
    worker.submit(parent, id="detached", detach=True, tags=["elsewhere"])
    gyoza.pass_time(34, worker)
    assert wanted(worker, parent) == "release"
    worker.report(parent, "FAILED", payload={"reason": "op_error"})
    worker.forget(parent)
    gyoza.tick()
    gyoza.patch(parent["id"], state="PENDING")
    gyoza.tick()
    assert gyoza.state({"id": "detached"}) == "PENDING"
    assert [run["id"] for run in worker.take()] == [parent["id"]]


def test_its_own_unfinished_children_keep_it_back_through_a_restart(tmp_path: Path) -> None:
    with cluster(tmp_path / "db", timings=Timings(failover_s=0)) as gyoza:
        worker, parent = locked(gyoza)
        gyoza.pass_time(34, worker)
        worker.give_back(parent)
        worker.forget(parent)
    with cluster(tmp_path / "db", gyoza.clock) as gyoza:
        worker.cluster = gyoza
        worker.beat()
        gyoza.tick()
        assert [run["id"] for run in worker.take(9)] == ["child"]
