"""Claims: what is handed out, once, to whom, and when a claim is answered early."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.cluster import DEADLINE_S, Cluster, Worker


def open_claims(gyoza: Cluster) -> int:
    return len(gyoza.shared.claims.open())


def test_an_open_claim_is_answered_by_a_new_run(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    claim = worker.claim_later()
    run = gyoza.submit(secret_env={"TOKEN": "t0ps3cret"}, inputs={"n": 3})
    [answer] = claim.result(DEADLINE_S)
    assert (answer["id"], answer["state"], answer["attempt"]) == (run["id"], "ASSIGNED", 1)
    assert answer["secret_env"] == {"TOKEN": "t0ps3cret"}
    assert run["secret_env"] == {"TOKEN": "***"}
    assert answer["events"] == answer["attempts"] == []


def test_a_lost_answer_is_repeated_with_the_same_lease_until_the_worker_has_it(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [first] = worker.claim()
    [again] = worker.claim(0)
    assert again["lease"] == first["lease"]
    have = [{"id": first["id"], "attempt": 1}]
    assert worker.claim(1, have=have) == []


def test_a_worker_that_does_not_say_what_it_has_gets_nothing_twice(gyoza: Cluster) -> None:
    gyoza.post("/workers/heartbeat", {"worker_id": "minimal", "resources": {"cpu_cores": 2, "ram_mb": 10}})
    gyoza.submit()
    path, body = "/workers/minimal/claim", {"max": 5, "wait_s": 0}
    assert len(gyoza.post(path, body)) == 1
    assert gyoza.post(path, body) == []


def test_a_minimal_worker_runs_a_run_without_lease_and_seq(gyoza: Cluster) -> None:
    gyoza.post("/workers/heartbeat", {"worker_id": "minimal", "nonsense": [1]})
    run = gyoza.submit()
    gyoza.post("/workers/minimal/claim", {"max": 1, "wait_s": 0, "more": {}})
    path = f"/runs/{run['id']}/events"
    gyoza.post(path, {"event_type": "STARTED", "msg": "started"})
    gyoza.post(path, {"type": "COMPLETED", "msg": "done", "payload": {"label": "cat"}})
    done = gyoza.run(run["id"])
    assert (done["state"], done["progress"], done["outputs"]) == ("COMPLETED", 100, {"label": "cat"})
    assert done["events"][-1]["payload"] == {"label": "cat"}


def test_only_restricts_to_the_ids_named(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit(priority=9)
    wanted = gyoza.submit()
    [got] = worker.claim(5, only=[wanted["id"]])
    assert got["id"] == wanted["id"]


def test_a_claim_never_gets_more_than_max_nor_max_runs(gyoza: Cluster) -> None:
    worker = gyoza.worker(max_runs=3)
    for _ in range(5):
        gyoza.submit()
    assert len(worker.take(2)) == 2
    assert len(worker.take(5)) == 1
    assert worker.take(5) == []


def test_a_claim_is_answered_early_and_empty_once_per_change(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    claim = worker.claim_later(0)
    gyoza.patch(run["id"], state="CANCELLED")
    assert claim.result(DEADLINE_S) == []
    assert worker.beat()["runs"][run["id"]]["verdict"] == "cancel"
    again = worker.claim_later(0)
    assert not again.done()


def test_a_change_without_open_claim_is_told_by_the_next_one(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    gyoza.patch(run["id"], state="CANCELLED")
    assert worker.claim_later(0).result(DEADLINE_S) == []
    assert not worker.claim_later(0).done()


def test_more_free_slots_than_the_open_claim_asks_for_end_it_once(gyoza: Cluster) -> None:
    worker = gyoza.worker(free_slots=0)
    claim = worker.claim_later(0)
    worker.beat(free_slots=2)
    assert claim.result(DEADLINE_S) == []
    small = worker.claim_later(1)
    worker.beat(free_slots=2)
    assert not small.done()


def test_another_state_ends_the_open_claim(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    claim = worker.claim_later()
    worker.beat(state="paused")
    assert claim.result(DEADLINE_S) == []


def test_a_paused_draining_or_silent_worker_gets_nothing(gyoza: Cluster) -> None:
    for state in ("paused", "draining"):
        worker = gyoza.worker(state, state=state)
        gyoza.submit()
        assert worker.claim() == []
    silent = gyoza.worker("silent")
    gyoza.pass_time(31)
    assert silent.claim() == []
    silent.beat()
    assert len(silent.claim()) == 1


def test_an_unknown_worker_beats_first(gyoza: Cluster) -> None:
    stranger = Worker(gyoza, "stranger")
    assert stranger.claim(code=404)["code"] == "worker_unknown"


def test_what_no_beat_lists_goes_back_after_60_s(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = gyoza.submit()
    worker.claim()
    gyoza.pass_time(58, worker)
    assert gyoza.state(run) == "ASSIGNED"
    gyoza.pass_time(8, worker)
    back = gyoza.run(run["id"])
    assert (back["state"], back["current_attempt"]) == ("PENDING", 1)


def test_an_answer_whose_worker_fell_silent_goes_back_after_60_s_too(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = gyoza.submit()
    worker.claim()
    gyoza.pass_time(66)
    assert gyoza.state(run) == "PENDING"


def test_given_back_before_the_start_is_the_same_attempt_and_a_new_lease(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    gyoza.submit()
    [run] = worker.claim()
    back = worker.give_back(run)
    assert (back["state"], back["current_attempt"], back["worker_id"]) == ("PENDING", 1, None)
    assert worker.give_back(run)["state"] == "PENDING"
    assert worker.claim() == []
    [again] = other.claim()
    assert again["attempt"] == 1
    assert again["lease"] != run["lease"]
    assert worker.give_back(run, 409)["code"] == "not_yours"


def test_given_back_runs_are_not_offered_again_for_60_s_doubling(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    for pause in (60, 120, 240, 480, 600, 600):
        [run] = worker.claim()
        worker.give_back(run)
        gyoza.pass_time(pause - 1, worker)
        assert worker.claim() == [], pause
        gyoza.pass_time(2, worker)
    [run] = worker.claim()
    worker.give_back(run)
    worker.identity["epoch"] = 2
    worker.beat()
    assert len(worker.claim()) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"backends": ["local"]}, {"backends": ["local", "docker"]}),
        ({"resources": {"cpu_cores": 8, "gpus": []}}, {"resources": {"cpu_cores": 8, "gpus": [{"id": 0}]}}),
    ],
)
def test_what_a_worker_gave_back_comes_again_when_its_machine_is_repaired(
    gyoza: Cluster, before: dict[str, Any], after: dict[str, Any]
) -> None:
    worker, other = gyoza.worker(**after), gyoza.worker("w2", **after)
    gyoza.submit()
    for one in (worker, other):
        [run] = one.claim()
        one.give_back(run)
    worker.beat(**before)
    assert worker.claim() == []
    worker.beat(**after)
    assert other.claim() == [], "what another one gave back is its own"
    assert len(worker.claim()) == 1


def test_a_beat_that_is_the_same_or_less_ends_no_pause(gyoza: Cluster) -> None:
    worker = gyoza.worker(backends=["docker", "local"])
    gyoza.submit()
    [run] = worker.claim()
    worker.give_back(run)
    worker.beat()
    worker.beat(backends=["docker"])
    assert worker.claim() == []


def test_given_back_while_running_is_the_next_attempt_and_costs_no_budget(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    worker.start(run)
    back = worker.give_back(run)
    assert (back["state"], back["current_attempt"], back["infra_retries"]) == ("PENDING", 2, 0)
    assert back["events"][0]["type"] == "RETRIED"
    assert gyoza.get("/workers/w1")["free"]["cpu_cores"] == 8


def test_a_stopping_server_answers_claims_at_once(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    claim = worker.claim_later()
    gyoza.shared.stop_waiting()
    assert claim.result(DEADLINE_S) == []
    assert worker.claim(wait_s=20) == []


def test_a_run_that_names_a_gpu_alone_has_it_to_itself_until_it_ends(gyoza: Cluster) -> None:
    worker = gyoza.worker(resources={"cpu_cores": 8, "gpus": [{"id": 7, "vram_mb": 8000}]})
    gyoza.submit(constraints={"gpu_id": 7})
    [first] = worker.take()
    assert gyoza.get("/workers/w1")["free"]["gpus"][0]["vram_mb"] == 0
    for constraints in ({"gpu_id": 7}, {"vram_mb": 100}):
        gyoza.submit(constraints=constraints)
    assert worker.claim(5) == []
    whole = "waits for a GPU that nothing else uses: it names no vram_mb, so it gets a whole one"
    assert [run["placement"] for run in gyoza.get("/runs", state="PENDING")] == [
        "waits for a worker with enough free",
        whole,
    ]
    worker.start(first)
    worker.report(first, "COMPLETED")
    assert len(worker.claim(5)) == 1


def later(gyoza: Cluster, seconds: float, *beating: Worker) -> None:
    gyoza.clock.advance(seconds)
    for worker in beating:
        worker.beat()


def kinds(run: dict[str, Any]) -> list[str]:
    return [event["type"] for event in run["events"]]


def test_a_run_that_is_given_back_again_and_again_says_why_and_fills_no_timeline(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = gyoza.submit()
    for times in range(1, 10):
        [given] = worker.claim()
        worker.give_back(given, reason="the registry is away")
        [listed] = gyoza.get("/runs", state="PENDING")
        words = "given back by w1" if times == 1 else f"given back {times} times, last by w1"
        assert listed["placement"] == f"{words}: the registry is away"
        later(gyoza, 601, worker)
    assert kinds(gyoza.run(run["id"])) == ["ASSIGNED", "INFO"] * 4, "the 1st, 2nd, 4th and 8th time"
    [taken] = worker.take()
    worker.start(taken)
    assert kinds(gyoza.run(run["id"]))[-2:] == ["ASSIGNED", "STARTED"], "nothing is missing of one that stays"
    worker.give_back(taken, reason="the worker is drained")
    assert gyoza.run(run["id"])["placement"] == "given back by w1: the worker is drained"


def test_a_run_that_no_worker_will_ever_take_says_so(gyoza: Cluster) -> None:
    first, second, small = gyoza.worker(), gyoza.worker("w2"), gyoza.worker("small", resources={"cpu_cores": 1})
    run = gyoza.submit(constraints={"cpu": 4})
    for worker in (first, second):
        assert "no worker" not in (gyoza.run(run["id"])["placement"] or "")
        [given] = worker.claim()
        worker.give_back(given, reason="/etc is not allowed", final=True)
    assert gyoza.run(run["id"])["placement"] == "no worker will ever take it: w2: /etc is not allowed"
    later(gyoza, 7200, first, second, small)
    assert first.claim() == second.claim() == []
    first.identity["epoch"] = 2
    first.beat()
    assert gyoza.run(run["id"])["placement"].startswith("given back 2 times, last by w2")
    assert len(first.claim()) == 1, "started again it may allow more"
