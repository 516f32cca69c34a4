"""Runs that people hold back, have frozen, or have their workers give back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.cluster import Cluster, Worker

KNOWS: dict[str, Any] = {"features": ["waiting", "freeze"]}


def words(gyoza: Cluster, run: dict[str, Any]) -> list[str]:
    """Of the notes in the current attempt's timeline."""
    return [event["msg"] for event in gyoza.run(run["id"])["events"] if event["type"] == "INFO"]


def running(worker: Worker) -> dict[str, Any]:
    worker.cluster.submit()
    [run] = worker.take()
    worker.start(run)
    return run


def wanted(worker: Worker, run: dict[str, Any]) -> tuple[str, str | None]:
    verdict = worker.beat()["runs"][run["id"]]
    return verdict["verdict"], verdict["want"]


# Held


def test_a_held_run_is_placed_once_the_hold_is_ended(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    first, second = gyoza.submit(id="first"), gyoza.submit(id="second")
    assert gyoza.patch(first["id"], held=True, by="anna")["held"] == "anna"
    assert gyoza.run(first["id"])["placement"] == "held by anna until the hold is ended"
    assert gyoza.get("/runs", state="PENDING")[1]["placement"] == "held by anna until the hold is ended"
    assert worker.beat()["queued"] == 1
    assert [run["id"] for run in worker.take(2)] == [second["id"]]
    later = worker.claim_later()
    assert gyoza.patch(first["id"], held=False, by="bob")["held"] is None
    assert [run["id"] for run in later.result(15)] == [first["id"]]
    assert words(gyoza, first) == ["held by anna", "bob ended the hold"]


def test_a_held_run_is_not_counted_as_queued(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    first, second, _ = (gyoza.submit() for _ in range(3))
    for run, held, queued in ((first, True, 2), (second, True, 1), (second, False, 2)):
        gyoza.patch(run["id"], held=held)
        assert worker.beat()["queued"] == queued
    gyoza.patch(first["id"], state="CANCELLED")
    assert worker.beat()["queued"] == 2


def test_a_claim_for_a_held_run_by_its_name_gets_nothing(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.patch(gyoza.submit(id="held")["id"], held=True)
    assert worker.claim(1, only=["held"]) == []


def test_who_holds_it_without_a_name_is_the_role_of_the_key(gyoza: Cluster) -> None:
    run = gyoza.submit()
    assert gyoza.patch(run["id"], held=True)["held"] == "a key of the role admin"


def test_a_second_hold_changes_nothing(gyoza: Cluster) -> None:
    run = gyoza.submit()
    for by in ("anna", "bob"):
        assert gyoza.patch(run["id"], held=True, by=by)["held"] == "anna"
    for _ in range(2):
        assert gyoza.patch(run["id"], held=False, by="bob")["held"] is None
    assert words(gyoza, run) == ["held by anna", "bob ended the hold"]


def test_only_a_pending_run_can_be_held(gyoza: Cluster) -> None:
    run = running(worker := gyoza.worker())
    refused = gyoza.patch(run["id"], 400, held=True)
    assert refused["code"] == "transition"
    assert refused["detail"] == f"run {run['id']} is RUNNING: only a run that is PENDING can be held"
    worker.report(run, "COMPLETED")
    assert gyoza.patch(run["id"], 409, held=True)["code"] == "terminal"


def test_a_hold_ends_with_the_run(gyoza: Cluster) -> None:
    run = gyoza.submit()
    gyoza.patch(run["id"], held=True)
    gyoza.patch(run["id"], state="CANCELLED")
    assert gyoza.patch(run["id"], state="PENDING")["held"] is None
    gyoza.patch(run["id"], state="CANCELLED")
    assert gyoza.patch(run["id"], state="PENDING", held=True, by="anna")["held"] == "anna", "both at once"


# Frozen, released


def test_a_worker_is_sent_what_is_wanted_of_its_run(gyoza: Cluster) -> None:
    worker = gyoza.worker(**KNOWS)
    run = running(worker)
    assert wanted(worker, run) == ("ok", None)
    for change, want in (({"frozen": True}, "frozen"), ({"frozen": False}, None), ({"release": True}, "release")):
        claim = worker.claim_later()
        gyoza.patch(run["id"], by="anna", **change)
        assert claim.result(15) == [], "it is to beat"
        assert wanted(worker, run) == ("ok", want)
    assert words(gyoza, run) == [
        "anna asked its worker to freeze it",
        "anna asked its worker to thaw it",
        "anna asked its worker to give it back",
    ]


def test_what_is_wanted_already_is_not_asked_for_again(gyoza: Cluster) -> None:
    worker = gyoza.worker(**KNOWS)
    run = running(worker)
    for change in ({"frozen": False}, {"frozen": True}, {"frozen": True}, {"release": True}, {"release": True}):
        gyoza.patch(run["id"], by="anna", **change)
    assert len(words(gyoza, run)) == 2
    gyoza.patch(run["id"], frozen=False)
    assert wanted(worker, run) == ("ok", "release"), "a thaw is none of a release"


@pytest.mark.parametrize(("change", "feature"), [({"frozen": True}, "freeze"), ({"release": True}, "waiting")])
def test_a_worker_that_does_not_understand_it_is_not_asked(
    change: dict[str, bool], feature: str, gyoza: Cluster
) -> None:
    worker = gyoza.worker(features=[feature], version="9")
    run = running(worker)
    gyoza.patch(run["id"], **change)
    assert wanted(worker, run)[1] is not None
    worker.fields["features"] = [each for each in KNOWS["features"] if each != feature]
    assert wanted(worker, run) == ("ok", None)
    other = running(worker)
    refused = gyoza.patch(other["id"], 409, **change)
    assert "worker w1 (version 9) cannot be asked for this by the server: upgrade it" in refused["detail"]


def test_what_is_released_is_wanted_no_more(gyoza: Cluster) -> None:
    worker = gyoza.worker(**KNOWS)
    gyoza.submit()
    [assigned] = worker.take()
    gyoza.patch(assigned["id"], release=True)
    assert wanted(worker, assigned) == ("ok", "release")
    worker.give_back(assigned)
    worker.forget(assigned)
    other = gyoza.worker("w2", **KNOWS)
    [again] = other.take()
    other.start(again)
    assert (again["id"], wanted(other, again)) == (assigned["id"], ("ok", None))
    gyoza.patch(again["id"], frozen=True)
    other.report(again, "FAILED", payload={"reason": "op_error", "message": "no"})
    other.forget(again)
    gyoza.patch(again["id"], state="PENDING")
    gyoza.pass_time(61, worker)
    [third] = worker.take()
    worker.start(third)
    assert wanted(worker, third) == ("ok", None)


def test_a_frozen_run_whose_worker_was_silent_stays_wanted_frozen(gyoza: Cluster) -> None:
    """It was taken back, and its worker is heard of before another has it."""
    worker = gyoza.worker(**KNOWS)
    run = running(worker)
    gyoza.patch(run["id"], frozen=True)
    gyoza.past_failover(worker)
    gyoza.pass_time(gyoza.shared.timings.eviction_s + 5)
    assert gyoza.state(run) == "PENDING"
    assert wanted(worker, run) == ("ok", "frozen")
    gyoza.pass_time(gyoza.shared.timings.eviction_s + 5)
    other = gyoza.worker("w2", **KNOWS)
    gyoza.pass_time(60, other)
    [again] = other.take()
    other.start(again)
    assert wanted(other, again) == ("ok", None), "another attempt begins with no wish"


@pytest.mark.parametrize(
    ("change", "state", "only"),
    [
        ({"frozen": True}, "ASSIGNED", "only a run that is RUNNING can be frozen"),
        ({"frozen": False}, "PENDING", "only a run that is RUNNING can be thawed"),
        ({"release": True}, "PENDING", "only a run that is ASSIGNED or RUNNING can be released"),
    ],
)
def test_what_cannot_be_done_is_refused_with_words(
    change: dict[str, bool], state: str, only: str, gyoza: Cluster
) -> None:
    worker = gyoza.worker(**KNOWS)
    run = gyoza.submit()
    if state == "ASSIGNED":
        worker.take()
    refused = gyoza.patch(run["id"], 400, **change)
    assert (refused["code"], refused["detail"]) == ("transition", f"run {run['id']} is {state}: {only}")
    gyoza.patch(run["id"], state="CANCELLED")
    assert gyoza.patch(run["id"], 409, **change)["code"] == "terminal"
    assert gyoza.client.patch(f"/runs/{run['id']}", json={"release": False}).status_code == 422
