"""Runs that runs create: who may, which and how many; what a child takes over from its parent."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from gyoza_tui.models.limits import CHILDREN_MAX, DEPTH_MAX, DESCENDANTS_MAX
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.server import schema
from tests.server.cluster import DEADLINE_S, Cluster, Worker


def started(worker: Worker, **fields: Any) -> dict[str, Any]:
    """A run that this worker has started, with the right to submit."""
    made = worker.cluster.submit(**{"may_submit": "any"} | fields)
    run: dict[str, Any] = next(run for run in worker.take(9) if run["id"] == made["id"])
    worker.start(run)
    return run


def store(gyoza: Cluster, run_id: str, **values: Any) -> None:
    statement = update(schema.runs).where(schema.runs.c.id == run_id).values(**values)
    gyoza.shared.database.submit(lambda tx: tx.connection.execute(statement)).result(DEADLINE_S)


def counters(gyoza: Cluster, run_id: str) -> tuple[int, int]:
    with gyoza.shared.database.reading() as connection:
        row = connection.execute(schema.runs.select().where(schema.runs.c.id == run_id)).one()
    return row.children, row.descendants


def test_a_child_names_its_parent_and_has_its_priority(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker, priority=8)
    child = worker.submit(parent, priority=2)
    assert (child["parent_id"], child["depth"], child["priority"]) == (parent["id"], 1, 8)
    [claimed] = worker.take()
    assert (claimed["id"], claimed["parent_id"]) == (child["id"], parent["id"])
    assert (gyoza.run(parent["id"])["parent_id"], gyoza.run(parent["id"])["depth"]) == (None, 0)


def test_families_are_counted_by_parent_and_by_root(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    root = started(worker)
    worker.submit(root, may_submit="any")
    [child] = worker.take()
    worker.start(child)
    for _ in range(2):
        assert worker.submit(child)["depth"] == 2
    assert counters(gyoza, root["id"]) == (1, 3)
    assert counters(gyoza, child["id"]) == (2, 0)


def test_only_the_running_attempt_with_its_lease_creates(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    made = gyoza.submit(may_submit="any", retry_policy={"max_attempts": 2})
    [parent] = worker.take()
    assigned = worker.submit(parent, 409)
    assert (assigned["code"], "is not RUNNING" in assigned["detail"]) == ("not_yours", True)
    worker.start(parent)
    for wrong in ({"lease": "0" * 32}, {"attempt": 2}, {"attempt": 0}):
        assert worker.submit(parent | wrong, 409)["code"] == "not_yours"
    assert worker.submit(parent | {"id": "none"}, 404)["code"] == "run_unknown"
    worker.submit(parent)
    worker.report(parent, "FAILED", payload={"reason": "op_error", "message": "no"})
    assert gyoza.state(made) == "PENDING"
    assert worker.submit(parent, 409)["code"] == "not_yours"
    assert counters(gyoza, made["id"])[0] == 1


def test_a_repeat_answers_the_same_child_and_counts_once(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent, other = started(worker), started(worker)
    gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox"})
    for of in ("", "op"):
        first = worker.submit(parent, id=f"child{of}", of=of)
        assert worker.submit(parent, id=f"child{of}", of=of)["created_at"] == first["created_at"]
        assert worker.submit(other, 409, id=f"child{of}", of=of)["code"] == "conflict"
    assert counters(gyoza, parent["id"]) == (2, 2)
    assert counters(gyoza, other["id"]) == (0, 0)


def test_a_parent_adopts_no_run_that_it_did_not_create(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = started(worker)
    gyoza.submit(id="alone")
    assert worker.submit(parent, 409, id="alone")["code"] == "conflict"
    worker.submit(parent, id="child")
    assert gyoza.post("/runs", {"id": "child", "image": "busybox"}, 409)["code"] == "conflict"


def test_the_right_of_the_parent_decides_what_it_creates(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox", "secret_env": {"A": "hush"}})
    parents = {right: started(worker, may_submit=right) for right in MaySubmit}
    kinds: list[dict[str, Any]] = [{"of": "op"}, {}]
    for what in kinds:
        refused = worker.submit(parents[MaySubmit.NO], 409, **what)
        assert (refused["code"], "may not submit runs" in refused["detail"]) == ("may_submit", True)
    worker.submit(parents[MaySubmit.DEFINITIONS], of="op")
    refused = worker.submit(parents[MaySubmit.DEFINITIONS], 409)
    assert (refused["code"], "of definitions only" in refused["detail"]) == ("may_submit", True)
    worker.submit(parents[MaySubmit.ANY], of="op")
    worker.submit(parents[MaySubmit.ANY], env={"A": "b"})
    kinds = [{"volumes": {"/data": "/data"}}, {"secret_env": {"A": "hush"}}]
    for more in kinds:
        refused = worker.submit(parents[MaySubmit.ANY], 409, **more)
        assert (refused["code"], "volumes or secret_env" in refused["detail"]) == ("may_submit", True)
    assert [counters(gyoza, parents[right]["id"])[0] for right in MaySubmit] == [0, 1, 2]


@pytest.mark.parametrize("of", ["", "op"])
def test_no_child_has_a_wider_right_than_its_parent(of: str, gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.post("/definitions", {"id": "op", "version": "1", "image": "busybox", "may_submit": "any"})
    parent = started(worker, may_submit="definitions" if of else "any")
    fields: dict[str, Any] = {} if of else {"may_submit": "definitions"}
    assert worker.submit(parent, of=of, **fields)["may_submit"] == "definitions"


def test_a_run_creates_no_more_than_it_may(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    root = started(worker)
    store(gyoza, root["id"], children=CHILDREN_MAX - 1)
    worker.submit(root, may_submit="any")
    refused = worker.submit(root, 409)
    assert (refused["code"], f"at most {CHILDREN_MAX}" in refused["detail"]) == ("limit", True)
    [child] = worker.take()
    worker.start(child)
    store(gyoza, root["id"], descendants=DESCENDANTS_MAX - 1)
    worker.submit(child, id="last")
    refused = worker.submit(child, 409)
    assert (refused["code"], f"at most {DESCENDANTS_MAX}" in refused["detail"]) == ("limit", True)
    assert worker.submit(child, id="last")["id"] == "last", "a repeat is no child more"
    assert counters(gyoza, root["id"]) == (CHILDREN_MAX, DESCENDANTS_MAX)


def test_a_family_is_no_deeper_than_it_may_be(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = started(worker)
    for depth in range(1, DEPTH_MAX + 1):
        assert worker.submit(run, may_submit="any")["depth"] == depth
        [run] = worker.take()
        worker.start(run)
    refused = worker.submit(run, 409)
    assert (refused["code"], f"at most {DEPTH_MAX} generations" in refused["detail"]) == ("limit", True)


def test_a_request_overrides_what_its_definition_says(gyoza: Cluster) -> None:
    definition = {"id": "op", "version": "1", "image": "busybox", "timeout_s": 9}
    gyoza.post("/definitions", definition | {"constraints": {"cpu": 1, "vram_mb": 5}})
    own = {"constraints": {"cpu": 2, "ram_mb": 10}, "timeout_s": 60, "retry_policy": {"max_attempts": 4}}
    run = gyoza.post("/definitions/op/runs", own, 201)
    expected = {"cpu": 2, "ram_mb": 10, "vram_mb": 5, "gpu_id": None}
    assert run["attempts"][0]["constraints"] == run["constraints"] == expected
    assert (run["timeout_s"], run["retry_policy"]["max_attempts"]) == (60, 4)
    plain = gyoza.post("/definitions/op/runs", {}, 201)
    assert (plain["constraints"]["cpu"], plain["timeout_s"]) == (1, 9)
    assert gyoza.get("/definitions/op")["timeout_s"] == 9


@pytest.mark.parametrize("need", [{}, {"constraints": {"cpu": 1}}], ids=["of one need", "of two needs"])
def test_children_go_before_older_runs_of_their_priority(gyoza: Cluster, need: dict[str, Any]) -> None:
    worker = gyoza.worker()
    parent = worker.start_parent()
    gyoza.submit(id="older", **need)
    gyoza.submit(id="urgent", priority=9, **need)
    worker.submit(parent, id="child")
    worker.wait(parent)
    given = [run["id"] for run in worker.claim(3)]
    assert given == ["urgent", "child", "older"]
