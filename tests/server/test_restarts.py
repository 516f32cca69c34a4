"""Runs whose engine was restarted under them: only one that was alone is charged; the others start alone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.server import restarts
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.scheduler import Offer, PendingRun, match
from tests.server.cluster import Cluster, Worker

ALONE = "waits to run alone: its engine was restarted under it and its neighbours"
BACKOFF_S = 6.0


def started(gyoza: Cluster, worker: Worker, count: int, **spec: Any) -> list[dict[str, Any]]:
    for _ in range(count):
        gyoza.submit(**spec)
    runs = worker.take(count)
    assert len(runs) == count
    for run in runs:
        worker.start(run)
    return runs


def restart(worker: Worker, *runs: dict[str, Any]) -> None:
    """Its engine was restarted; these ended by it."""
    for run in runs:
        worker.report(run, "FAILED", payload={"reason": "backend_restarted", "message": "the engine was restarted"})
        worker.forget(run)
    worker.beat()


def charged(gyoza: Cluster, run: dict[str, Any]) -> int:
    return int(gyoza.run(run["id"])["infra_retries"])


def begun(worker: Worker) -> list[str]:
    """What a claim for all brings now, started."""
    runs = worker.take(9)
    for run in runs:
        worker.start(run)
    return [run["id"] for run in runs]


def test_of_those_that_end_together_none_is_charged(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    runs = started(gyoza, worker, 3)
    restart(worker, runs[0])
    gyoza.pass_time(14, worker)
    restart(worker, *runs[1:])
    assert [charged(gyoza, run) for run in runs] == [0, 0, 0]
    assert [gyoza.run(run["id"])["current_attempt"] for run in runs] == [2, 2, 2]


def test_an_end_without_a_message_needs_no_other_words(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    first, _ = started(gyoza, worker, 2)
    worker.report(first, "FAILED", payload={"reason": "backend_restarted"})
    assert gyoza.run(first["id"])["events"][0]["msg"] == "other runs ended with it, none is charged"


def test_one_that_was_alone_is_charged_until_its_budget_is_spent(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    (run,) = started(gyoza, worker, 1)
    for spent in (1, 2, 3):
        restart(worker, run)
        assert charged(gyoza, run) == spent
        gyoza.pass_time(25, worker)
        (run,) = worker.take()
        worker.start(run)
    restart(worker, run)
    assert gyoza.state(run) == "FAILED"


def test_an_end_long_after_anothers_is_one_alone(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    first, second = started(gyoza, worker, 2)
    worker.report(second, "COMPLETED", payload={})
    worker.forget(second)
    restart(worker, first)
    (other,) = started(gyoza, worker, 1)
    gyoza.pass_time(16, worker)
    restart(worker, other)
    assert [charged(gyoza, run) for run in (first, other)] == [1, 1]


def test_neighbours_on_another_worker_or_backend_do_not_count(gyoza: Cluster) -> None:
    worker, elsewhere = gyoza.worker(backends=["docker", "local"], ops=["op"]), gyoza.worker("w2", tags=["far"])
    (one,) = started(gyoza, worker, 1)
    started(gyoza, worker, 1, image="local://op")
    (far,) = started(gyoza, elsewhere, 1, tags=["far"])
    restart(elsewhere, far)
    restart(worker, one)
    assert [charged(gyoza, run) for run in (one, far)] == [1, 1]


def test_each_starts_alone_for_a_minute(gyoza: Cluster) -> None:
    worker = gyoza.worker(backends=["docker", "local"], ops=["op"])
    runs = started(gyoza, worker, 3)
    restart(worker, *runs)
    ordinary, local = gyoza.submit()["id"], gyoza.submit(image="local://op")["id"]
    gyoza.pass_time(BACKOFF_S, worker)
    first, second, third = (run["id"] for run in runs)
    assert begun(worker) == [first, local], "another backend is free"
    assert gyoza.run(second)["placement"] == ALONE
    assert gyoza.run(ordinary)["placement"].startswith("waits while another run is alone on docker")
    gyoza.pass_time(58, worker)
    assert begun(worker) == []
    gyoza.pass_time(4, worker)
    assert begun(worker) == [second], "one that has been alone is no company"
    gyoza.pass_time(62, worker)
    assert begun(worker) == [third]
    gyoza.pass_time(58, worker)
    assert begun(worker) == []
    gyoza.pass_time(4, worker)
    assert begun(worker) == [ordinary]


def test_a_run_that_kills_its_engine_is_found_and_its_neighbours_lose_nothing_of_their_budgets(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    killer, victim = started(gyoza, worker, 2)
    restart(worker, killer, victim)
    for _ in range(40):
        gyoza.pass_time(BACKOFF_S, worker)
        begun(worker)
        going = [one for one in worker.listed if one["id"] == killer["id"]]
        if going:
            restart(worker, *sorted(worker.listed, key=lambda one: one["id"] != killer["id"]))
        if gyoza.state(killer) == "FAILED":
            break
    assert (gyoza.state(killer), charged(gyoza, killer)) == ("FAILED", 3)
    assert charged(gyoza, victim) == 0
    gyoza.pass_time(130, worker)
    begun(worker)
    assert gyoza.state(victim) == "RUNNING"


def test_one_that_kills_later_than_it_was_alone_is_alone_for_longer(gyoza: Cluster) -> None:
    """Killer and neighbour both past their minute: none can be charged, the next time both are alone for two."""
    worker = gyoza.worker()
    killer, victim = started(gyoza, worker, 2)
    restart(worker, killer, victim)
    gyoza.pass_time(BACKOFF_S, worker)
    begun(worker)
    gyoza.pass_time(62, worker)
    begun(worker)
    gyoza.pass_time(62, worker)
    restart(worker, *worker.listed)
    assert [charged(gyoza, run) for run in (killer, victim)] == [0, 0]
    gyoza.pass_time(BACKOFF_S, worker)
    begun(worker)
    gyoza.pass_time(62, worker)
    assert begun(worker) == []
    gyoza.pass_time(40, worker)
    restart(worker, *worker.listed)
    assert sorted(charged(gyoza, run) for run in (killer, victim)) == [0, 1]


def test_an_op_error_ends_it(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    runs = started(gyoza, worker, 2, retry_policy={"max_attempts": 3})
    restart(worker, *runs)
    gyoza.pass_time(BACKOFF_S, worker)
    begun(worker)
    (going,) = worker.listed
    worker.report(going, "FAILED", payload={"reason": "op_error", "message": "no"})
    worker.forget(going)
    worker.beat()
    (other,) = {run["id"] for run in runs} - {going["id"]}
    gyoza.patch(other, state="CANCELLED")
    ordinary = gyoza.submit()["id"]
    assert begun(worker) == [going["id"], ordinary], "what failed by itself is a run like any other"


def test_a_busy_worker_empties_for_it_while_another_goes_on(gyoza: Cluster) -> None:
    """Both are full; lower ranks wait at one of them only, and whoever waits says why."""
    worker, other = gyoza.worker("w1", max_runs=3), gyoza.worker("w2", max_runs=3)
    spare = gyoza.worker("w3")
    runs = started(gyoza, spare, 2)
    restart(spare, *runs)
    spare.beat(state="paused")
    busy = {one.id: started(gyoza, one, 3, constraints={"cpu": 1}) for one in (worker, other)}
    crowd = [gyoza.submit(priority=1)["id"] for _ in range(12)]
    gyoza.pass_time(BACKOFF_S, worker, other)
    alone = {run["id"] for run in runs}
    placed: dict[str, list[str]] = {"w1": [], "w2": []}
    for _ in range(3):
        for one in (worker, other):
            ended = busy[one.id].pop()
            one.report(ended, "COMPLETED", payload={})
            one.forget(ended)
            one.beat()
            placed[one.id] += begun(one)
    assert placed["w1"][0] in alone, "w1 took nothing else until it was empty"
    assert set(placed["w2"]) <= set(crowd)
    assert len(placed["w2"]) == 3, "w2 was not held up"
    (left,) = alone - set(placed["w1"])
    assert gyoza.run(left)["placement"] == ALONE


def test_neighbours_are_found_without_reading_every_attempt_of_the_worker(gyoza: Cluster) -> None:
    statement = str(restarts._OTHERS.compile(dialect=sqlite.dialect()))
    with gyoza.shared.database.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (0,) * statement.count("?")).all()
    steps = [row.detail for row in plan if "attempts" in row.detail]
    assert [step.split(" INDEX ")[1].split()[0] for step in steps] == ["attempts_held", "attempts_restarted"]


def _room(worker_id: str, cpu: int, *backends: str) -> Room:
    empty: frozenset[str] = frozenset()
    room = Room(worker_id, cpu * 10, 8000, [], empty, frozenset({"docker"}), empty, 8, True)
    for backend in backends:
        room.take(Constraints(cpu=1), backend)
    return room


@pytest.mark.parametrize("avoid", [None, "w2"])
def test_the_worker_that_empties_is_one_that_can_take_it(avoid: str | None) -> None:
    """Not one that is too small for ever, however little runs there."""
    small, w2, w3 = _room("small", 2, "docker"), _room("w2", 8, "docker"), _room("w3", 8, "docker", "docker")
    big, little = (Need("docker", None, Constraints(cpu=cpu), frozenset()) for cpu in (4, 1))
    waiting = {
        big: iter([PendingRun("alone", (0, 0, 1), avoid=avoid, alone=True)]),
        little: iter([PendingRun(f"n{n}", (0, 0, 2 + n)) for n in range(20)]),
    }
    offers = [Offer(n, room, 1) for n, room in enumerate((small, w2, w3))]
    assert sorted(one.key for one in match(waiting, offers, [small, w2, w3])) == [0, 2]
