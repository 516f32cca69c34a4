"""Claims for nothing but children of runs that wait, and who gets those besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.server import pending_queue
from tests.server.cluster import Cluster, Worker, cluster
from tests.server.test_scale import slow_steps, statements


def ids(runs: list[dict[str, Any]]) -> list[str]:
    return [run["id"] for run in runs]


def family(gyoza: Cluster, worker: Worker, name: str = "child", **fields: Any) -> dict[str, Any]:
    """A run at the worker that waits for a child of this name, which is pending."""
    parent = worker.start_parent()
    worker.submit(parent, id=name, **fields)
    worker.wait(parent)
    return parent


def test_such_a_claim_gets_nothing_else(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    parent = other.start_parent()
    family(gyoza, worker)
    gyoza.submit(id="plain", priority=9)
    other.submit(parent, id="of-one-awake")
    assert ids(worker.claim(9, children="any")) == ["child"]
    worker.beat()
    assert ids(other.claim(9)) == ["plain", "of-one-awake"]


def test_mine_are_those_of_runs_that_wait_at_this_worker(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    parent = worker.start_parent()
    worker.submit(parent, id="child", may_submit="any")
    [child] = other.take()
    other.start(child)
    other.submit(child, id="grandchild")
    other.wait(child)
    assert worker.claim(9, children="mine") == [], "its own run does not wait yet"
    worker.wait(parent)
    assert ids(worker.claim(9, children="mine")) == ["grandchild"], "a child waits elsewhere, its parent here"


def test_any_are_those_of_runs_that_wait_anywhere(gyoza: Cluster) -> None:
    family(gyoza, gyoza.worker())
    other = gyoza.worker("w2")
    assert other.claim(9, children="mine") == []
    assert ids(other.claim(9, children="any")) == ["child"]


def test_with_names_it_gets_those_too(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent = worker.start_parent()
    worker.submit(parent, id="child")
    worker.wait(parent)
    for name in ("named", "plain"):
        gyoza.submit(id=name)
    lost = worker.claim(9, children="mine", only=["named"])
    assert ids(lost) == ["child", "named"]
    assert sorted(ids(worker.claim(9, children="mine", only=["named"]))) == ["child", "named"], (
        "an answer that was lost"
    )


def test_a_draining_worker_gets_what_its_own_runs_wait_for(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    family(gyoza, worker)
    gyoza.submit(id="plain", priority=9)
    worker.fields["state"] = "draining"
    worker.beat()
    for children in (None, "any"):
        assert worker.claim(9, children=children) == []
    worker.fields["state"] = "paused"
    worker.beat()
    assert worker.claim(9, children="mine") == [], "paused by a person, who decides"
    worker.fields["state"] = "draining"
    worker.beat()
    assert ids(worker.claim(9, children="mine", only=["plain"])) == ["child"]


def test_a_draining_worker_with_a_free_slot_claims_again(gyoza: Cluster) -> None:
    worker = gyoza.worker(state="draining")
    claims = worker.claim_later(0), worker.claim_later(0, children="mine")
    worker.beat(free_slots=1)
    assert claims[1].result(5) == []
    assert not claims[0].done()


def test_a_long_queue_hides_no_child(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_queue, "_CHILDREN_BEHIND", pending_queue._CHILDREN_BEHIND.limit(2))
    monkeypatch.setattr(pending_queue, "_PAGE", 2)
    worker = gyoza.worker()
    first = worker.start_parent(priority=1)
    for n in range(5):
        worker.submit(first, id=f"child{n}")
    for n in range(9):
        gyoza.submit(id=f"plain{n}", priority=9)
    gyoza.submit(id="late", priority=0)
    worker.wait(first)
    claimed = worker.claim(9, children="mine", only=["plain8", "late"])
    assert ids(claimed) == ["plain8", *(f"child{n}" for n in range(5)), "late"]


def test_it_neither_sorts_nor_scans_the_runs(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        worker = gyoza.worker()
        with statements() as seen:
            family(gyoza, worker)
            gyoza.submit(priority=9)
            gyoza.submit()
            worker.claim(9, children="any")
            worker.beat()
            gyoza.tick()
        assert any("json_each" in statement for statement, _ in seen)
        assert slow_steps(tmp_path / "db", seen) == []


def test_a_worker_kept_for_a_big_run_is_open_to_what_others_wait_for(gyoza: Cluster) -> None:
    """Else the big run waits for the parent, and that for its child."""
    worker = gyoza.worker()
    parent = worker.start_parent(priority=1, constraints={"ram_mb": 4000})
    worker.wait(parent)
    gyoza.submit(id="big", constraints={"ram_mb": 8000})
    for _ in range(8):
        gyoza.submit(constraints={"ram_mb": 100})
        gyoza.clock.advance(10)
        worker.beat()
        gyoza.tick()
        worker.take()
    assert gyoza.get("/workers/w1")["reserved"].startswith("reserved for big")
    gyoza.submit(id="plain", constraints={"ram_mb": 100})
    worker.submit(parent, id="child", constraints={"ram_mb": 100})
    assert ids(worker.claim(9)) == ["child"]
