"""What a run's end, and its new priority, mean for the runs that it created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from gyoza_tui.server import cascade, schema
from gyoza_tui.server.database import Transaction
from tests.server.cluster import DEADLINE_S, Cluster, FakeClock, Worker, cluster
from tests.server.test_families import started

FAILURE = {"reason": "op_error", "message": "no"}


def states(gyoza: Cluster, *runs: dict[str, Any]) -> list[str]:
    return [gyoza.state(run) for run in runs]


def attempt_of(gyoza: Cluster, run: dict[str, Any]) -> tuple[str, int]:
    found = gyoza.run(run["id"])
    return found["state"], found["current_attempt"]


def change(gyoza: Cluster, what: Callable[[Transaction], Any]) -> Any:
    return gyoza.shared.database.submit(what).result(DEADLINE_S)


def clone(gyoza: Cluster, run_id: str, copies: int) -> None:
    """Siblings of a child that has not been assigned yet."""

    def make(tx: Transaction) -> None:
        for table, key in ((schema.runs, schema.runs.c.id), (schema.attempts, schema.attempts.c.run_id)):
            row = tx.connection.execute(select(table).where(key == run_id)).one()._asdict()
            row.pop("seq", None)
            tx.connection.execute(insert(table), [row | {key.name: f"clone{n}"} for n in range(copies)])

    change(gyoza, make)


def family(worker: Worker) -> list[dict[str, Any]]:
    """A parent; its children that wait, run, are detached, and have completed."""
    parent = started(worker)
    running, completed = worker.submit(parent), worker.submit(parent)
    ids = {run["id"]: run for run in worker.take(2)}
    for child in ids.values():
        worker.start(child)
    worker.report(ids[completed["id"]], "COMPLETED")
    worker.forget(completed)
    return [parent, worker.submit(parent), ids[running["id"]], worker.submit(parent, detach=True), completed]


def cancelled_by_a_person(gyoza: Cluster, worker: Worker, parent: dict[str, Any]) -> None:
    gyoza.patch(parent["id"], state="CANCELLED")


def failed(gyoza: Cluster, worker: Worker, parent: dict[str, Any]) -> None:
    worker.report(parent, "FAILED", payload=FAILURE)


def failed_by_patch(gyoza: Cluster, worker: Worker, parent: dict[str, Any]) -> None:
    gyoza.patch(parent["id"], state="FAILED", attempt=1, lease=parent["lease"])


def cancelled_at_the_worker(gyoza: Cluster, worker: Worker, parent: dict[str, Any]) -> None:
    worker.report(parent, "CANCELLED")


def overdue(gyoza: Cluster, worker: Worker, parent: dict[str, Any]) -> None:
    def make(tx: Transaction) -> None:
        spec = '{"image": "busybox", "timeout_s": 1, "may_submit": "any"}'
        tx.connection.execute(update(schema.runs).where(schema.runs.c.id == parent["id"]).values(spec=spec))

    change(gyoza, make)
    gyoza.pass_time(gyoza.shared.timings.eviction_s + 5, worker)


ENDS = (cancelled_by_a_person, failed, failed_by_patch, cancelled_at_the_worker, overdue)


@pytest.mark.parametrize("end", ENDS)
def test_a_parent_that_ends_takes_its_children_with_it(
    end: Callable[[Cluster, Worker, dict[str, Any]], None], gyoza: Cluster
) -> None:
    worker = gyoza.worker()
    parent, waiting, running, detached, completed = family(worker)
    claim = worker.claim_later(9) if end is not overdue else None
    end(gyoza, worker, parent)
    gyoza.tick()
    assert states(gyoza, waiting, running, completed) == ["CANCELLED", "CANCELLED", "COMPLETED"]
    assert gyoza.state(detached) in ("PENDING", "ASSIGNED")
    verb = "was cancelled" if gyoza.state(parent) == "CANCELLED" else "failed"
    assert gyoza.run(waiting["id"])["execution_summary"]["error_message"] == f"its parent {parent['id']} {verb}"
    assert claim is None or claim.result(DEADLINE_S) is not None, "it is to beat"
    assert worker.beat()["runs"][running["id"]]["verdict"] == "cancel"


def test_a_parent_that_is_evicted_for_the_last_time_takes_its_children_with_it(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker, retry_policy={"max_infra_retries": 0})
    child = worker.submit(parent, constraints={"cpu": 8})
    gyoza.past_failover(worker)
    gyoza.pass_time(gyoza.shared.timings.eviction_s + 5)
    assert states(gyoza, parent, child) == ["FAILED", "CANCELLED"]


def test_children_go_on_while_an_attempt_of_their_parent_follows(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    for policy in ({"max_attempts": 2}, {"max_infra_retries": 1}):
        parent = started(worker, retry_policy=policy)
        child = worker.submit(parent, tags=["elsewhere"])
        reason = "op_error" if "max_attempts" in policy else "disk_full"
        worker.report(parent, "FAILED", payload={"reason": reason, "message": "no"})
        worker.forget(parent)
        gyoza.tick()
        assert states(gyoza, parent, child) == ["PENDING", "PENDING"]


def test_children_of_a_parent_that_is_taken_or_given_back_go_on(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    child = worker.submit(parent, tags=["elsewhere"])
    gyoza.past_failover(worker)
    gyoza.pass_time(gyoza.shared.timings.eviction_s + 5)
    assert states(gyoza, parent, child) == ["PENDING", "PENDING"]
    worker.beat()
    assert gyoza.state(parent) == "RUNNING"
    worker.give_back(parent)
    gyoza.tick()
    assert states(gyoza, parent, child) == ["PENDING", "PENDING"]


def test_all_generations_end(gyoza: Cluster) -> None:
    """Also those whose own parent has completed, but none below a run that is detached."""
    worker = gyoza.worker()
    root = started(worker)
    middle = [worker.submit(root, may_submit="any", detach=detach) for detach in (False, False, True)]
    runs = {run["id"]: run for run in worker.take(3)}
    youngest = []
    for run in runs.values():
        worker.start(run)
    for child in middle:
        youngest.append(worker.submit(runs[child["id"]], tags=["elsewhere"]))
    worker.report(runs[middle[0]["id"]], "COMPLETED")
    gyoza.patch(root["id"], state="CANCELLED")
    gyoza.tick()
    assert states(gyoza, *middle) == ["COMPLETED", "CANCELLED", "RUNNING"]
    assert states(gyoza, *youngest) == ["CANCELLED", "CANCELLED", "PENDING"]
    why = [gyoza.run(run["id"])["execution_summary"]["error_message"] for run in youngest[:2]]
    assert why[0] == f"a run above its parent {middle[0]['id']} was cancelled or failed"
    assert why[1] == f"its parent {middle[1]['id']} was cancelled"


def test_a_parent_that_completes_says_how_many_children_go_on(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    for count, words in ((0, []), (1, ["1 child still at work"]), (2, ["2 children still at work"])):
        parent = started(worker)
        over = worker.submit(parent)
        gyoza.patch(over["id"], state="CANCELLED")
        children = [worker.submit(parent, tags=["elsewhere"]) for _ in range(count)]
        worker.report(parent, "COMPLETED")
        worker.forget(parent)
        gyoza.tick()
        assert states(gyoza, parent, *children) == ["COMPLETED", *(["PENDING"] * count)]
        assert [event["msg"] for event in gyoza.run(parent["id"])["events"] if event["type"] == "INFO"] == words


def test_no_transaction_cancels_more_than_a_few(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    clone(gyoza, worker.submit(parent, tags=["elsewhere"])["id"], 450)
    gyoza.patch(parent["id"], state="CANCELLED")
    left = []
    more = True
    while more:
        more = change(gyoza, lambda tx: cascade.step(gyoza.shared, tx))
        left.append(len(gyoza.get("/runs", state="PENDING", limit=1000)))
    assert left == [351, 251, 151, 51, 0]


def test_what_was_begun_goes_on_after_a_kill(tmp_path: Path) -> None:
    clock = FakeClock()
    with cluster(tmp_path / "db", clock) as gyoza:
        worker = gyoza.worker()
        parent = started(worker)
        child = worker.submit(parent, tags=["elsewhere"])
        clone(gyoza, child["id"], 300)
        gyoza.patch(parent["id"], state="CANCELLED")
        change(gyoza, lambda tx: cascade.step(gyoza.shared, tx))
        assert len(gyoza.get("/runs", state="PENDING", limit=1000)) == 201
    with cluster(tmp_path / "db", clock) as gyoza:
        gyoza.tick()
        assert gyoza.get("/runs", state="PENDING") == []


def test_a_damaged_child_does_not_keep_the_others(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    damaged, other = (worker.submit(parent, tags=["elsewhere"]) for _ in range(2))
    of_damaged = schema.attempts.c.run_id == damaged["id"]
    change(gyoza, lambda tx: tx.connection.execute(delete(schema.attempts).where(of_damaged)))
    gyoza.patch(parent["id"], state="CANCELLED")
    gyoza.tick()
    assert gyoza.state(other) == "CANCELLED"
    change(gyoza, lambda tx: tx.connection.execute(delete(schema.runs).where(schema.runs.c.id == damaged["id"])))


# A later attempt of the parent


def retried(gyoza: Cluster, worker: Worker, parent: dict[str, Any]) -> dict[str, Any]:
    """The next attempt of a parent that has ended."""
    worker.forget(parent)
    gyoza.clock.advance(1)
    worker.beat()
    gyoza.patch(parent["id"], state="PENDING")
    [run] = worker.claim(1, only=[parent["id"]])
    worker.start(run)
    again: dict[str, Any] = run
    return again


def test_a_later_attempt_reopens_what_failed_or_was_cancelled(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    first = started(worker)
    for name in ("completed", "failed", "cancelled", "waiting"):
        worker.submit(first, id=name)
    runs = {run["id"]: run for run in worker.claim(3, only=["completed", "failed", "cancelled"])}
    for run in runs.values():
        worker.start(run)
    worker.report(runs["completed"], "COMPLETED", payload={"n": 1})
    worker.report(runs["failed"], "FAILED", payload=FAILURE)
    worker.report(runs["cancelled"], "CANCELLED")
    worker.report(first, "FAILED", payload=FAILURE)
    second = retried(gyoza, worker, first)
    again = {name: worker.submit(second, id=name) for name in ("completed", "failed", "cancelled", "waiting")}
    assert {name: (run["state"], run["current_attempt"]) for name, run in again.items()} == {
        "completed": ("COMPLETED", 1),
        "failed": ("PENDING", 2),
        "cancelled": ("PENDING", 2),
        "waiting": ("PENDING", 1),
    }
    assert again["completed"]["outputs"] == {"n": 1}
    assert again["failed"]["events"][0]["msg"] == "attempt 2 of its parent asked for it"


def test_it_reopens_each_child_once(gyoza: Cluster) -> None:
    """Else an op that repeats a request whose answer was lost would never learn that its child failed."""
    worker = gyoza.worker()
    first = started(worker)
    for name in ("failed", "adopted"):
        worker.submit(first, id=name)
    gyoza.patch("failed", state="CANCELLED")
    assert worker.submit(first, id="failed")["state"] == "CANCELLED", "by the attempt that created it"
    worker.report(first, "FAILED", payload=FAILURE)
    second = retried(gyoza, worker, first)
    for name in ("failed", "adopted"):
        assert worker.submit(second, id=name)["state"] == "PENDING"
        gyoza.patch(name, state="CANCELLED")
        assert worker.submit(second, id=name)["state"] == "CANCELLED"
    worker.report(second, "FAILED", payload=FAILURE)
    third = retried(gyoza, worker, second)
    assert worker.submit(third, id="failed")["state"] == "PENDING"


def test_what_is_reopened_is_not_cancelled_by_the_end_before(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    first = started(worker)
    worker.submit(first, id="child", tags=["elsewhere"])
    gyoza.patch(first["id"], state="CANCELLED")
    second = retried(gyoza, worker, first)
    assert worker.submit(second, id="child", tags=["elsewhere"])["state"] == "PENDING"
    gyoza.tick()
    assert gyoza.run("child")["state"] == "PENDING"


def test_a_child_whose_secrets_were_erased_is_not_reopened(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox", "secret_env": {"TOKEN": "hush"}})
    first = started(worker)
    worker.submit(first, id="child", of="op")
    gyoza.patch("child", state="CANCELLED")
    worker.report(first, "FAILED", payload=FAILURE)
    worker.forget(first)
    gyoza.clock.advance(gyoza.shared.timings.secret_env_s + 1)
    gyoza.tick()
    worker.beat()
    second = retried(gyoza, worker, first)
    assert worker.submit(second, 409, id="child", of="op")["code"] == "secrets"


# Priority


def test_a_family_follows_the_priority_of_its_oldest(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    child = worker.submit(parent, may_submit="any")
    [claimed] = worker.take()
    worker.start(claimed)
    others = [worker.submit(claimed, tags=["elsewhere"]), worker.submit(parent, detach=True, tags=["elsewhere"])]
    clone(gyoza, others[1]["id"], 250)
    gyoza.patch(parent["id"], priority=9)
    gyoza.tick()
    family = [*(run["id"] for run in (parent, child, *others)), "clone0", "clone249"]
    assert [gyoza.run(run_id)["priority"] for run_id in family] == [9] * 6
    assert worker.submit(claimed)["priority"] == 9


def test_a_child_has_no_priority_of_its_own_while_its_parent_is_at_work(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    child = worker.submit(parent, tags=["elsewhere"])
    refused = gyoza.patch(child["id"], 409, priority=9)
    assert refused["detail"] == (
        f"run {child['id']} has the priority of its parent {parent['id']}: change that of the parent"
    )
    worker.report(parent, "COMPLETED")
    assert gyoza.patch(child["id"], priority=9)["priority"] == 9


def test_a_parent_that_is_retried_gives_its_children_its_priority_again(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    child = worker.submit(parent, detach=True, tags=["elsewhere"])
    gyoza.patch(parent["id"], state="CANCELLED")
    gyoza.patch(child["id"], priority=9)
    gyoza.patch(parent["id"], state="PENDING")
    gyoza.tick()
    assert gyoza.run(child["id"])["priority"] == gyoza.run(parent["id"])["priority"] == 5
