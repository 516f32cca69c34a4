"""Reports: fenced by attempt and lease, taken once, and what they bring about."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza_tui.models.limits import EVENT_MAX, EVENTS_PER_ATTEMPT_MAX, OUTPUTS_MAX
from tests.server.cluster import Cluster, Worker


def running(gyoza: Cluster, worker: Worker, **fields: Any) -> dict[str, Any]:
    gyoza.submit(**fields)
    [run] = worker.take()
    worker.start(run)
    return run


def test_another_lease_attempt_or_worker_is_not_yours(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    for wrong in ({"lease": "x"}, {"lease": None}, {"attempt": 2}, {"attempt": 10**30}, {"worker_id": "w2"}):
        assert worker.report(run, "INFO", 409, **wrong)["code"] == "not_yours"
    assert gyoza.post("/runs/nothing/events", {"type": "INFO"}, 404)["code"] == "run_unknown"


def test_a_known_seq_is_answered_and_does_nothing_also_after_the_end(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.report(run, "INFO", seq=5, msg="once")
    worker.report(run, "INFO", seq=5, msg="once")
    worker.report(run, "COMPLETED", seq=9, payload={"a": 1})
    assert worker.report(run, "COMPLETED", seq=9, payload={"a": 1})["state"] == "COMPLETED"
    assert worker.report(run, "COMPLETED", 409, seq=10)["code"] == "terminal"
    kinds = [event["type"] for event in gyoza.run(run["id"])["events"]]
    assert kinds == ["ASSIGNED", "STARTED", "INFO", "COMPLETED"]


@pytest.mark.parametrize(("kind", "state"), [("COMPLETED", "COMPLETED"), ("FAILED", "FAILED")])
def test_an_end_is_taken_from_a_journal_that_was_put_back(gyoza: Cluster, kind: str, state: str) -> None:
    """It counts its reports again from the backup on; the worker drops what was answered, so this is the last try."""
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.report(run, "INFO", seq=50, msg="before")
    assert worker.report(run, "INFO", seq=3, msg="known")["state"] == "RUNNING"
    for _ in range(2):
        assert worker.report(run, kind, seq=4, payload={"a": 1})["state"] == state
    kinds = [event["type"] for event in gyoza.run(run["id"])["events"]]
    assert kinds == ["ASSIGNED", "STARTED", "INFO", kind]


def test_a_refused_report_is_refused_again(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    gyoza.patch(run["id"], state="CANCELLED")
    for _ in range(2):
        assert worker.report(run, "COMPLETED", 409, seq=7)["code"] == "terminal"


def test_a_list_is_one_transaction(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    own = {"worker_id": "w1", "attempt": 1, "lease": run["lease"]}
    good = [{"type": "INFO", "msg": n, "seq": 10 + n} | own for n in range(3)]
    bad = [*good, {"type": "STARTED", "seq": 20} | own]
    path = f"/runs/{run['id']}/events"
    assert gyoza.post(path, bad, 400)["code"] == "transition"
    assert len(gyoza.run(run["id"])["events"]) == 2
    assert gyoza.post(path, good)["accepted"] == 3
    assert len(gyoza.run(run["id"])["events"]) == 5
    gyoza.post(path, [good[0], good[1] | {"attempt": 2}], 422)


def test_events_over_the_attempts_limit_are_dropped_and_state_events_never(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    big = "x" * (EVENT_MAX - 100)
    sent = EVENTS_PER_ATTEMPT_MAX // EVENT_MAX + 2
    dropped = sum(worker.report(run, "INFO", msg=big)["dropped"] for _ in range(sent))
    assert 1 <= dropped <= 2
    assert worker.report(run, "COMPLETED", payload={})["state"] == "COMPLETED"


def test_the_last_ten_of_progress_are_kept_and_cost_the_attempt_no_budget(gyoza: Cluster) -> None:
    """Of each attempt, between other events; who follows the topic gets each one when it comes."""
    worker = gyoza.worker()
    run = running(gyoza, worker, event_delivery={"topic": "t"}, retry_policy={"max_attempts": 2})
    big, sent = {"rows": "x" * (EVENT_MAX - 100)}, EVENTS_PER_ATTEMPT_MAX // EVENT_MAX + 2
    cursor: dict[str, str] = {}
    followed = []
    for percent in range(sent):
        assert worker.report(run, "PROGRESS", msg=percent, payload=big)["accepted"] == 1
        page = gyoza.client.get("/topics/t/events", params=cursor)
        cursor = {"after": page.headers["X-Next-Cursor"]}
        followed += [event["msg"] for event in page.json() if event["type"] == "PROGRESS"]
        if percent == sent - 6:
            worker.report(run, "INFO", msg="between")
    now = gyoza.run(run["id"])
    assert now["progress"] == percent
    assert [event["msg"] for event in now["events"]][2:] == [
        *range(sent - 10, sent - 5),
        "between",
        *range(sent - 5, sent),
    ]
    assert followed == list(range(sent))
    worker.report(run, "FAILED", payload={"reason": "op_error", "message": "boom"})
    worker.listed.clear()
    [again] = worker.take()
    worker.start(again)
    worker.report(again, "PROGRESS", msg=1)
    counts = [[e["type"] for e in one["events"]].count("PROGRESS") for one in gyoza.run(run["id"])["attempts"]]
    assert counts == [10, 1]


def test_progress_moves_the_bar_and_completed_fills_it(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.report(run, "PROGRESS", msg=41.5)
    assert gyoza.run(run["id"])["progress"] == 41.5
    worker.report(run, "COMPLETED")
    assert gyoza.run(run["id"])["progress"] == 100


@pytest.mark.parametrize(
    ("before", "kind"), [("ASSIGNED", "COMPLETED"), ("RUNNING", "STARTED"), ("RUNNING", "RETRIED")]
)
def test_what_the_table_does_not_have_is_a_transition_error(gyoza: Cluster, before: str, kind: str) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    if before == "RUNNING":
        worker.start(run)
    assert worker.report(run, kind, 400)["code"] == "transition"


def test_an_assigned_run_may_fail_before_it_starts(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    worker.report(run, "FAILED", payload={"reason": "image_not_found", "message": "no such image"})
    failed = gyoza.run(run["id"])
    assert failed["state"] == "FAILED"
    assert failed["execution_summary"]["error_message"] == "no such image"


def test_a_list_tells_what_the_op_said_of_its_failure(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    payload = {"reason": "op_error", "exit_code": 3, "message": "it ended", "log_tail": "one\nno disk\n"}
    quiet, loud = running(gyoza, worker), running(gyoza, worker)
    worker.report(quiet, "FAILED", payload=payload)
    for said in ("the first", "no such label"):
        worker.report(loud, "ERROR", msg=said)
    worker.report(loud, "FAILED", payload=payload)
    told = {run["id"]: run["execution_summary"]["error_message"] for run in gyoza.get("/runs")}
    assert told == {quiet["id"]: "it ended: no disk", loud["id"]: "it ended: no such label"}


def test_the_policy_retries_with_its_back_off(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker, retry_policy={"max_attempts": 3, "backoff_s": 10, "backoff_factor": 3})
    for wait in (10, 30):
        worker.report(run, "FAILED", payload={"reason": "op_error", "message": "boom"})
        worker.listed.clear()
        again = gyoza.run(run["id"])
        assert again["state"] == "PENDING"
        assert f"{wait} s" in again["placement"]
        gyoza.pass_time(wait - 1, worker)
        assert worker.claim() == []
        gyoza.pass_time(2, worker)
        [run] = worker.take()
        worker.start(run)
    worker.report(run, "FAILED")
    ended = gyoza.run(run["id"])
    assert (ended["state"], ended["current_attempt"], ended["infra_retries"]) == ("FAILED", 3, 0)
    assert [attempt["state"] for attempt in ended["attempts"]] == ["FAILED"] * 3


def test_the_machines_failures_have_their_own_budget_and_prefer_another_worker(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    run = running(gyoza, worker)
    worker.report(run, "FAILED", payload={"reason": "disk_full", "message": "no space"})
    worker.listed.clear()
    again = gyoza.run(run["id"])
    assert (again["state"], again["infra_retries"], again["current_attempt"]) == ("PENDING", 1, 2)
    gyoza.pass_time(6, worker, other)
    assert worker.claim() == []
    [moved] = other.take()
    other.start(moved)
    other.report(moved, "FAILED", payload={"reason": "disk_full"})
    other.listed.clear()
    other.beat(state="draining")
    worker.beat()
    gyoza.pass_time(11, worker)
    [third] = worker.take()
    worker.report(third, "FAILED", payload={"reason": "internal"})
    worker.listed.clear()
    gyoza.pass_time(21, worker)
    # nobody else is there: the same worker gets it after all
    [fourth] = worker.take()
    worker.report(fourth, "FAILED", payload={"reason": "internal"})
    assert gyoza.run(run["id"])["state"] == "FAILED"
    retried = gyoza.patch(run["id"], state="PENDING")
    assert (retried["infra_retries"], retried["current_attempt"], retried["not_before"]) == (0, 5, None)


def test_cancel_holds_the_resources_until_they_are_released(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    cpu = {"constraints": {"cpu": 8}}
    first = running(gyoza, worker, **cpu)
    worker.beat()
    second = gyoza.submit(**cpu)
    gyoza.patch(first["id"], state="CANCELLED", reason="wrong input")
    assert worker.beat()["runs"][first["id"]]["verdict"] == "cancel"
    assert worker.claim() == []
    assert "enough free" in gyoza.run(second["id"])["placement"]
    worker.report(first, "CANCELLED")
    worker.forget(first)
    [got] = worker.take()
    assert got["id"] == second["id"]
    assert gyoza.run(first["id"])["state"] == "CANCELLED"


def test_a_late_result_of_a_cancelled_run_is_terminal_and_releases(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker, constraints={"cpu": 8})
    gyoza.patch(run["id"], state="CANCELLED")
    gyoza.patch(run["id"], state="CANCELLED")
    assert worker.report(run, "COMPLETED", 409)["code"] == "terminal"
    assert gyoza.get("/workers/w1")["free"]["cpu_cores"] == 8
    assert gyoza.state(run) == "CANCELLED"


def test_a_beat_that_no_longer_lists_a_cancelled_run_releases_it(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker, constraints={"cpu": 8})
    worker.beat()
    gyoza.patch(run["id"], state="CANCELLED")
    retried = gyoza.patch(run["id"], state="PENDING")
    assert retried["current_attempt"] == 2
    assert "until worker w1 has let" in gyoza.run(run["id"])["placement"]
    worker.beat()
    assert worker.claim(5) == []
    gyoza.clock.advance(1)
    worker.forget(run)
    worker.beat()
    [again] = worker.claim()
    assert again["attempt"] == 2


def test_a_cancelled_answer_that_never_arrived_is_released_by_the_next_claim(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = gyoza.submit(constraints={"cpu": 8})
    worker.claim()
    gyoza.patch(run["id"], state="CANCELLED")
    worker.claim()
    assert gyoza.get("/workers/w1")["free"]["cpu_cores"] == 8


def test_the_server_ends_what_its_worker_does_not(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker, timeout_s=100)
    gyoza.pass_time(420, worker)
    assert gyoza.state(run) == "RUNNING"
    gyoza.pass_time(20, worker)
    over = gyoza.run(run["id"])
    assert over["state"] == "FAILED"
    assert over["events"][-1]["payload"]["reason"] == "timeout"
    assert worker.beat()["runs"][run["id"]]["verdict"] == "lost"


@pytest.mark.parametrize("change", [{"state": "ASSIGNED"}, {"state": "PENDING"}, {"state": "COMPLETED"}])
def test_a_patch_that_the_table_does_not_have(gyoza: Cluster, change: dict[str, str]) -> None:
    run = gyoza.submit()
    reply = gyoza.client.patch(f"/runs/{run['id']}", json=change)
    assert (reply.status_code, reply.json()["code"]) in {(400, "transition"), (409, "not_yours")}


def test_a_worker_may_patch_instead_of_sending_events(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    own = {"worker_id": "w1", "attempt": 1, "lease": run["lease"]}
    assert gyoza.patch(run["id"], state="RUNNING", **own)["state"] == "RUNNING"
    gyoza.patch(run["id"], 409, outputs={"half": 1})
    assert gyoza.patch(run["id"], outputs={"half": 1}, **own)["outputs"] == {"half": 1}
    assert gyoza.patch(run["id"], state="COMPLETED", outputs={"a": 1}, **own)["outputs"] == {"a": 1}
    assert gyoza.patch(run["id"], 400, state="CANCELLED")["code"] == "transition"
    assert gyoza.patch(run["id"], 409, priority=3)["code"] == "terminal"


def test_outputs_beyond_the_limit_are_refused_and_at_it_kept(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.report(run, "COMPLETED", 422, payload={"x": "y" * OUTPUTS_MAX})
    worker.report(run, "COMPLETED", payload={"x": "y" * (OUTPUTS_MAX - 100)})
    assert len(gyoza.run(run["id"])["outputs"]["x"]) == OUTPUTS_MAX - 100


@pytest.mark.parametrize("t", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-02T20:00:01+02:00"])
def test_whatever_time_a_worker_sends_can_be_shown_again(gyoza: Cluster, t: str) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.report(run, "INFO", msg="x", t=t)
    assert gyoza.run(run["id"])["events"][-1]["t"].endswith("Z")
