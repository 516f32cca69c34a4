"""Identity, eviction, late results: what becomes of a worker's runs when it is not heard of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.cluster import Cluster, FakeClock, Worker, cluster

EVICTION_S = 331


def running(gyoza: Cluster, worker: Worker, **fields: Any) -> dict[str, Any]:
    gyoza.submit(**fields)
    [run] = worker.take()
    worker.start(run)
    worker.beat()
    return run


def verdict(worker: Worker, run: dict[str, Any]) -> str:
    return str(worker.beat()["runs"][run["id"]]["verdict"])


def twin(gyoza: Cluster, worker: Worker) -> Worker:
    """Another state directory under the same name."""
    other = Worker(gyoza, worker.id)
    other.identity = {"instance_id": "another", "epoch": 1}
    return other


def test_the_reply_names_the_timings_and_judges_every_run(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    gyoza.submit()
    worker.listed += [{"id": "elsewhere", "attempt": 1, "lease": "x"}]
    reply = worker.beat()
    assert (reply["protocol"], reply["lease_s"], reply["grace_s"], reply["heartbeat_s"]) == (1, 30, 300, 5)
    assert reply["queued"] == 1
    assert reply["runs"][run["id"]] == {
        "state": "RUNNING",
        "attempt": 1,
        "verdict": "ok",
        "want": None,
        "want_by": None,
    }
    assert reply["runs"]["elsewhere"]["verdict"] == "unknown"
    worker.listed[0]["lease"] = "another"
    assert verdict(worker, run) == "lost"


def test_an_end_whose_answer_was_lost_is_ok(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.report(run, "COMPLETED")
    assert verdict(worker, run) == "ok"


def test_another_instance_waits_until_the_runs_have_gone_back(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = running(gyoza, worker)
    other = twin(gyoza, worker)
    assert other.beat(409)["code"] == "instance_live"
    assert other.claim(code=409)["code"] == "instance_live"
    gyoza.pass_time(320)
    assert other.beat(409)["code"] == "instance_live"
    gyoza.pass_time(14)
    other.beat()
    assert gyoza.run(run["id"])["current_attempt"] == 2
    assert worker.beat(409)["code"] == "instance_live"


def test_a_higher_epoch_takes_over_and_a_lower_one_ends(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    claim = worker.claim_later()
    worker.identity["epoch"] = 2
    assert worker.claim(code=404)["code"] == "worker_unknown"
    assert verdict(worker, run) == "ok"
    assert claim.result(15) == []
    worker.identity["epoch"] = 1
    assert worker.beat(409)["code"] == "epoch"
    assert worker.claim(code=409)["code"] == "epoch"


def test_eviction_in_two_steps(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = running(gyoza, worker)
    gyoza.pass_time(40)
    assert gyoza.get("/workers/w1")["state"] == "silent"
    gyoza.pass_time(280)
    assert gyoza.state(run) == "RUNNING"
    gyoza.pass_time(15)
    back = gyoza.run(run["id"])
    assert (back["state"], back["current_attempt"], back["infra_retries"]) == ("PENDING", 2, 1)
    assert back["attempts"][0]["events"][-1]["payload"]["reason"] == "worker_lost"
    assert gyoza.get("/workers/w1")["state"] == "lost"


def test_nobody_is_evicted_for_a_while_after_a_start_or_a_late_tick(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = running(gyoza, worker)
    gyoza.clock.advance(1000)
    gyoza.tick()
    gyoza.pass_time(115)
    assert gyoza.state(run) == "RUNNING"
    gyoza.pass_time(10)
    assert gyoza.state(run) == "PENDING"


def test_a_restart_of_the_server_keeps_everything_and_spares_everybody(tmp_path: Path) -> None:
    clock = FakeClock()
    with cluster(tmp_path / "db", clock) as gyoza:
        worker = gyoza.worker()
        run = running(gyoza, worker)
    clock.advance(5)
    with cluster(tmp_path / "db", clock) as gyoza:
        worker.cluster = gyoza
        assert worker.claim(wait_s=20) == [], "sent back to beat"
        gyoza.pass_time(115)
        assert gyoza.state(run) == "RUNNING"
        assert verdict(worker, run) == "ok"
        worker.report(run, "COMPLETED")


def test_a_worker_that_is_away_keeps_its_runs_until_then(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = running(gyoza, worker)
    worker.beat(state="away", away_s=1000)
    gyoza.pass_time(990)
    assert gyoza.state(run) == "RUNNING"
    assert gyoza.get("/workers/w1")["state"] == "away"
    gyoza.pass_time(20)
    assert gyoza.state(run) == "PENDING"
    worker.identity["epoch"] = 2
    assert verdict(worker, run) == "ok"
    assert gyoza.get("/workers/w1")["state"] == "claiming"


def test_a_late_beat_takes_the_attempt_back_while_its_successor_waits(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = running(gyoza, worker, constraints={"cpu": 8})
    gyoza.pass_time(EVICTION_S)
    assert gyoza.state(run) == "PENDING"
    assert verdict(worker, run) == "ok"
    again = gyoza.run(run["id"])
    assert (again["state"], again["current_attempt"]) == ("RUNNING", 1)
    assert gyoza.get("/workers/w1")["free"]["cpu_cores"] == 0
    gyoza.pass_time(EVICTION_S)
    assert gyoza.run(run["id"])["current_attempt"] == 3
    worker.report(run, "COMPLETED", payload={"late": True})
    done = gyoza.run(run["id"])
    assert (done["state"], done["current_attempt"], done["outputs"]) == ("COMPLETED", 1, {"late": True})


def test_a_late_result_wins_while_its_successor_has_not_started(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    gyoza.past_failover(worker, other)
    gyoza.submit()
    [run] = worker.take()
    worker.start(run)
    worker.beat()
    gyoza.pass_time(EVICTION_S + 10, other)
    [successor] = other.take()
    assert successor["attempt"] == 2
    other.beat()
    assert verdict(worker, run) == "lost"
    worker.report(run, "COMPLETED", payload={"n": 1})
    assert gyoza.run(run["id"])["outputs"] == {"n": 1}
    assert verdict(other, successor) == "cancel"
    assert other.report(successor, "STARTED", 409)["code"] in ("terminal", "not_yours")
    gyoza.clock.advance(1)
    other.forget(successor)
    other.beat()
    assert gyoza.get("/workers/w2")["running_ops"] == []


def test_a_late_result_is_refused_once_its_successor_has_started(gyoza: Cluster) -> None:
    worker, other = gyoza.worker(), gyoza.worker("w2")
    gyoza.past_failover(worker, other)
    run = running(gyoza, worker)
    gyoza.pass_time(EVICTION_S + 10, other)
    [successor] = other.take()
    other.start(successor)
    assert worker.report(run, "COMPLETED", 409)["code"] in ("terminal", "not_yours")
    other.report(successor, "COMPLETED", payload={"by": "w2"})
    assert gyoza.run(run["id"])["outputs"] == {"by": "w2"}


def test_what_a_beating_instance_has_not_listed_for_60_s_goes_back(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    worker.listed.clear()
    gyoza.pass_time(56, worker)
    assert gyoza.state(run) == "RUNNING"
    gyoza.pass_time(12, worker)
    back = gyoza.run(run["id"])
    assert (back["state"], back["current_attempt"], back["infra_retries"]) == ("PENDING", 2, 1)


def test_a_lost_worker_ends_a_run_whose_budget_is_spent(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.past_failover(worker)
    run = running(gyoza, worker, retry_policy={"max_infra_retries": 0})
    gyoza.pass_time(EVICTION_S + 5)
    assert gyoza.state(run) == "FAILED"


def test_good_bye_gives_everything_back_at_once(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    assert gyoza.client.delete("/workers/w1", params={"instance_id": "another"}).status_code == 409
    assert gyoza.client.delete("/workers/w1").status_code == 409
    assert gyoza.client.delete("/workers/w1", params=worker.identity).status_code == 204
    assert gyoza.state(run) == "PENDING"
    assert gyoza.get("/workers/w1", 404)["code"] == "worker_unknown"
    assert gyoza.get("/workers") == []


def test_a_beat_that_changes_nothing_writes_no_row(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = running(gyoza, worker)
    before = gyoza.shared.database.path.with_name("server.db-wal").stat().st_mtime_ns
    for n in range(5):
        worker.beat(beat=n)
    assert gyoza.shared.database.path.with_name("server.db-wal").stat().st_mtime_ns == before
    worker.report(run, "COMPLETED")


def test_a_worker_shows_what_it_has_and_what_is_free(gyoza: Cluster) -> None:
    gpus = [{"id": 0, "vram_mb": 8000, "tags": ["rtx"]}]
    worker = gyoza.worker(
        resources={"cpu_cores": 4, "ram_mb": 100, "gpus": gpus}, tags=["lab"], hostname="box", version="0.1", max_runs=2
    )
    run = running(gyoza, worker, constraints={"cpu": 1, "vram_mb": 3000})
    shown = gyoza.get("/workers/w1")
    assert shown["free"] == {
        "cpu_cores": 3,
        "ram_mb": 100,
        "gpus": [{"id": 0, "vram_mb": 5000, "foreign_mb": 0, "tags": ["rtx"]}],
    }
    assert (shown["hostname"], shown["tags"], shown["max_runs"]) == ("box", ["lab"], 2)
    assert [op["id"] for op in shown["running_ops"]] == [run["id"]]
    assert gyoza.run(run["id"])["execution_summary"]["gpu_id"] == 0
