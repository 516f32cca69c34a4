"""The state that is wanted of a worker, as the server keeps it, sends it and shows what the worker made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.cluster import Cluster, Worker, cluster

FEATURES = ["wanted_state"]


def want(gyoza: Cluster, state: Any, code: int = 200, worker_id: str = "w1", **more: Any) -> Any:
    reply = gyoza.client.patch(f"/workers/{worker_id}", json={"wanted": state} | more)
    assert reply.status_code == code, reply.text
    return reply.json()


def shown(gyoza: Cluster, worker_id: str = "w1") -> Any:
    return gyoza.get(f"/workers/{worker_id}")["wanted"]


def follower(gyoza: Cluster) -> Worker:
    return gyoza.worker("w1", features=FEATURES)


def said(worker: Worker, seq: int, answer: str) -> Any:
    """What that beat is answered."""
    worker.fields["wanted"] = {"seq": seq, "answer": answer}
    return worker.beat()["wanted"]


def test_each_request_has_a_seq_and_is_in_the_next_answer(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    assert worker.beat()["wanted"] is None
    assert shown(gyoza) is None
    for seq, state in enumerate(("paused", "paused", "draining", "claiming"), 1):
        wanted = want(gyoza, state, by="anna")
        assert (wanted["state"], wanted["seq"], wanted["by"]) == (state, seq, "anna")
        assert worker.beat()["wanted"] == wanted
        assert shown(gyoza) == wanted | {"answer": None}
        assert gyoza.get("/workers")[0]["wanted"] == wanted | {"answer": None}


def test_without_a_name_it_is_the_keys_role(gyoza: Cluster) -> None:
    follower(gyoza)
    assert want(gyoza, "paused")["by"] == "a key of the role admin"


def test_what_the_worker_made_of_it_is_shown_for_its_own_seq_only(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    want(gyoza, "paused")
    for answer in ("applied", "overridden"):
        said(worker, 1, answer)
        assert shown(gyoza)["answer"] == answer
    want(gyoza, "paused")
    assert shown(gyoza)["answer"] is None


def test_an_open_claim_is_answered_at_once(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    claim = worker.claim_later(1)
    want(gyoza, "paused")
    assert claim.result(5) == []


def test_it_outlives_the_server_and_the_workers_good_bye(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        follower(gyoza)
        wanted = want(gyoza, "paused", by="anna")
    with cluster(tmp_path / "db") as gyoza:
        worker = follower(gyoza)
        assert worker.beat()["wanted"] == wanted
        gyoza.client.delete("/workers/w1", params={"instance_id": worker.identity["instance_id"]})
        assert gyoza.get("/workers") == []
        assert worker.beat()["wanted"] == wanted
        assert want(gyoza, "claiming")["seq"] == 2


def test_a_worker_that_has_ended_can_still_be_resumed(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    want(gyoza, "paused")
    gyoza.client.delete("/workers/w1", params={"instance_id": worker.identity["instance_id"]})
    want(gyoza, "claiming")
    assert worker.beat()["wanted"]["state"] == "claiming"


@pytest.mark.parametrize("state", ["claiming", "paused", "draining"])
def test_a_drain_becomes_a_pause_at_the_good_bye_and_nothing_else_does(gyoza: Cluster, state: str) -> None:
    worker = follower(gyoza)
    want(gyoza, state, by="anna")
    gyoza.client.delete("/workers/w1", params={"instance_id": worker.identity["instance_id"]})
    wanted = worker.beat()["wanted"]
    drained = state == "draining"
    assert (wanted["state"], wanted["seq"]) == (("paused", 2) if drained else (state, 1))
    assert wanted["by"] == "anna"


def test_a_drain_that_was_overridden_is_none_at_the_good_bye(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    want(gyoza, "draining")
    said(worker, 1, "overridden")
    gyoza.client.delete("/workers/w1", params={"instance_id": worker.identity["instance_id"]})
    assert worker.beat()["wanted"]["state"] == "draining"


@pytest.mark.parametrize("answer", ["applied", "overridden", "drained"])
def test_a_drain_becomes_a_pause_when_the_next_start_says_that_it_was_applied(gyoza: Cluster, answer: str) -> None:
    worker = follower(gyoza)
    want(gyoza, "draining")
    wanted = said(worker, 1, answer)
    assert (wanted["state"], wanted["seq"]) == (("paused", 2) if answer == "drained" else ("draining", 1))


def test_a_later_drain_is_not_ended_by_what_is_said_of_an_earlier_one(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    want(gyoza, "draining")
    want(gyoza, "draining")
    assert said(worker, 1, "drained")["state"] == "draining"


def test_what_cannot_be_followed_is_refused(gyoza: Cluster) -> None:
    gyoza.worker("old", version="0.1.0")
    assert "version 0.1.0" in want(gyoza, "paused", 409, "old")["detail"]
    assert "no worker 'nobody'" in want(gyoza, "paused", 404, "nobody")["detail"]
    follower(gyoza)
    for state in ("away", "asleep", None):
        want(gyoza, state, 422)
    want(gyoza, "paused", 422, by="x" * 65)


def test_a_worker_without_the_feature_is_sent_none(gyoza: Cluster) -> None:
    worker = follower(gyoza)
    want(gyoza, "paused")
    assert worker.beat(features=[])["wanted"] is None
