"""`POST /ended`: which runs have ended, and what answers a request that waits for it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from gyoza_tui.models.limits import ENDED_REPLY_MAX
from gyoza_tui.server import schema
from tests.server.cluster import DEADLINE_S, Cluster, FakeClock, Worker, cluster, until
from tests.server.test_scale import slow_steps, statements


def ended(gyoza: Cluster, **request: Any) -> Any:
    return gyoza.post("/ended", {"wait_s": 0} | request)


def states(answer: Any) -> dict[str, str]:
    return {run["id"]: run["state"] for run in answer["runs"]}


def open_requests(gyoza: Cluster) -> int:
    by_key = gyoza.shared.ends._waiters._waiting
    return len(set().union(*by_key.values()))


def waiting(gyoza: Cluster, wait_s: float = 20, **request: Any) -> Future[Any]:
    """A request that waits when this returns."""
    before = open_requests(gyoza)
    future = gyoza.threads.submit(ended, gyoza, wait_s=wait_s, **request)
    until(lambda: open_requests(gyoza) > before, "the request is open")
    return future


def at_work(gyoza: Cluster, worker: Worker, **fields: Any) -> dict[str, Any]:
    gyoza.submit(**fields)
    [run] = worker.take()
    worker.start(run)
    return run


def adopt(gyoza: Cluster, parent_id: str, *run_ids: str) -> None:
    """Make these runs children of that one."""

    def change(tx: Any) -> None:
        table = schema.runs
        tx.connection.execute(update(table).where(table.c.id.in_(run_ids)).values(parent_id=parent_id))

    gyoza.shared.database.submit(change).result(DEADLINE_S)


def test_ends_are_told_without_what_goes_on_and_what_there_is_not(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    runs = [at_work(gyoza, worker, id=name) for name in ("completed", "failed", "cancelled", "running")]
    worker.report(runs[0], "COMPLETED", payload={"large": 1})
    worker.report(runs[1], "FAILED")
    gyoza.patch("cancelled", state="CANCELLED")
    gyoza.submit(id="pending")
    names = ["completed", "failed", "cancelled", "running", "pending", "nothing", "a strange/id é"]
    answer = ended(gyoza, ids=names)
    assert states(answer) == {name: name.upper() for name in names[:3]}
    assert answer["runs"][0].keys() == {"id", "state", "parent_id"}


@pytest.mark.parametrize("how", ["COMPLETED", "FAILED", "CANCELLED", "cancel", "eviction"])
def test_an_open_request_is_answered_by_the_end(gyoza: Cluster, how: str) -> None:
    gyoza.past_failover()
    worker = gyoza.worker()
    run = at_work(gyoza, worker, retry_policy={"max_infra_retries": 0})
    future = waiting(gyoza, ids=[run["id"], "another"])
    if how == "cancel":
        gyoza.patch(run["id"], state="CANCELLED")
    elif how == "eviction":
        gyoza.pass_time(gyoza.shared.timings.eviction_s + 5)
    else:
        worker.report(run, how)
    assert states(future.result(DEADLINE_S)) == {run["id"]: gyoza.state(run)}


def test_a_failure_that_is_tried_again_is_no_end(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = at_work(gyoza, worker, retry_policy={"max_attempts": 2})
    future = waiting(gyoza, ids=[run["id"]])
    worker.report(run, "FAILED")
    worker.forget(run)
    assert states(ended(gyoza, ids=[run["id"]])) == {}
    assert not future.done()
    [run] = worker.take()
    worker.start(run)
    worker.report(run, "COMPLETED")
    assert states(future.result(DEADLINE_S)) == {run["id"]: "COMPLETED"}


def test_a_request_without_an_end_is_answered_when_its_time_is_over(gyoza: Cluster) -> None:
    gyoza.submit(id="one")
    assert ended(gyoza, ids=["one"], wait_s=0.05) == {"runs": [], "parents": {}}
    assert open_requests(gyoza) == 0


def test_a_request_names_something(gyoza: Cluster) -> None:
    gyoza.post("/ended", {"wait_s": 0}, 422)
    gyoza.post("/ended", {"ids": ["x"] * 1001}, 422)
    gyoza.post("/ended", {"parents": {"x": -1}}, 422)
    gyoza.post("/ended", {"parents": {"x": 2**63}}, 422)


def test_a_thousand_ids_of_any_server_are_a_body_that_is_taken(gyoza: Cluster) -> None:
    assert ended(gyoza, ids=[f"{number:0256}" for number in range(1000)])["runs"] == []


class TestChildren:
    def test_each_is_told_once_behind_the_cursor(self, gyoza: Cluster) -> None:
        worker = gyoza.worker()
        runs = [at_work(gyoza, worker, id=name) for name in "abc"]
        adopt(gyoza, "one", "a", "b")
        adopt(gyoza, "other", "c")
        worker.report(runs[1], "COMPLETED")
        first = ended(gyoza, parents={"one": 0, "other": 0, "none": 0})
        assert [(run["id"], run["parent_id"]) for run in first["runs"]] == [("b", "one")]
        assert ended(gyoza, parents=first["parents"]) == {"runs": [], "parents": first["parents"]}
        worker.report(runs[2], "FAILED")
        worker.report(runs[0], "COMPLETED")
        second = ended(gyoza, parents=first["parents"])
        assert states(second) == {"a": "COMPLETED", "c": "FAILED"}
        assert ended(gyoza, parents=second["parents"])["runs"] == []

    def test_an_end_answers_a_request_for_the_children_of_its_parent_alone(self, gyoza: Cluster) -> None:
        worker = gyoza.worker()
        run = at_work(gyoza, worker, id="a")
        adopt(gyoza, "one", "a")
        mine, other = waiting(gyoza, parents={"one": 0}), waiting(gyoza, parents={"other": 0})
        worker.report(run, "COMPLETED")
        assert states(mine.result(DEADLINE_S)) == {"a": "COMPLETED"}
        assert not other.done()

    def test_more_than_an_answer_holds_come_in_the_next_ones(self, gyoza: Cluster) -> None:
        names = [f"child{number}" for number in range(ENDED_REPLY_MAX + 5)]
        for name in names:
            gyoza.submit(id=name)
        adopt(gyoza, "one", *names[:3])
        adopt(gyoza, "other", *names[3:])
        for name in names:
            gyoza.patch(name, state="CANCELLED")
        got: list[str] = []
        cursors = {"one": 0, "other": 0}
        for expected in (ENDED_REPLY_MAX, 5, 0):
            answer = ended(gyoza, parents=cursors)
            assert len(answer["runs"]) == expected
            got += [run["id"] for run in answer["runs"]]
            cursors = answer["parents"]
        assert sorted(got) == sorted(names)

    def test_one_that_ends_again_after_a_retry_is_told_again(self, gyoza: Cluster) -> None:
        gyoza.submit(id="a")
        gyoza.submit(id="b")
        adopt(gyoza, "one", "a", "b")
        gyoza.patch("a", state="CANCELLED")
        first = ended(gyoza, parents={"one": 0})
        gyoza.patch("a", state="PENDING")
        assert ended(gyoza, parents={"one": 0})["runs"] == []
        gyoza.patch("b", state="CANCELLED")
        second = ended(gyoza, parents=first["parents"])
        assert states(second) == states(ended(gyoza, parents={"one": 0})) == {"b": "CANCELLED"}
        gyoza.patch("a", state="CANCELLED")
        assert states(ended(gyoza, parents=second["parents"])) == {"a": "CANCELLED"}

    def test_a_cursor_of_a_database_that_was_replaced_by_an_older_copy_begins_again(self, gyoza: Cluster) -> None:
        gyoza.submit(id="a")
        adopt(gyoza, "one", "a")
        gyoza.patch("a", state="CANCELLED")
        answer = ended(gyoza, parents={"one": 2**52})
        assert states(answer) == {"a": "CANCELLED"}
        assert answer["parents"]["one"] < 2**52

    def test_ends_after_an_older_copy_was_restored_are_behind_every_cursor_given_before(self, tmp_path: Path) -> None:
        clock = FakeClock()
        with cluster(tmp_path / "db", clock) as gyoza:
            for name in "abcd":
                gyoza.submit(id=name)
            adopt(gyoza, "one", *"abcd")
            with closing(sqlite3.connect(tmp_path / "db")) as now, closing(sqlite3.connect(tmp_path / "copy")) as copy:
                now.backup(copy)
            for name in "ab":
                gyoza.patch(name, state="CANCELLED")
            cursors = ended(gyoza, parents={"one": 0})["parents"]
        with cluster(tmp_path / "copy", clock) as gyoza:
            for name in "cd":
                gyoza.patch(name, state="CANCELLED")
            assert states(ended(gyoza, parents=cursors)) == {"c": "CANCELLED", "d": "CANCELLED"}

    def test_numbers_go_on_after_a_restart(self, tmp_path: Path) -> None:
        with cluster(tmp_path / "db") as gyoza:
            for name in "ab":
                gyoza.submit(id=name)
            adopt(gyoza, "one", "a", "b")
            gyoza.patch("a", state="CANCELLED")
            cursors = ended(gyoza, parents={"one": 0})["parents"]
        with cluster(tmp_path / "db") as gyoza:
            gyoza.patch("b", state="CANCELLED")
            assert states(ended(gyoza, parents=cursors)) == {"b": "CANCELLED"}


class TestEarlyAnswers:
    def test_of_the_worker_whose_runs_wait_otherwise_now(self, gyoza: Cluster) -> None:
        mine = waiting(gyoza, parents={"one": 0}, worker_id="w1")
        other = waiting(gyoza, parents={"one": 0}, worker_id="w2")
        gyoza.shared.ends.answer_worker("w1")
        assert mine.result(DEADLINE_S) == {"runs": [], "parents": {"one": 0}}
        assert not other.done()

    def test_also_where_a_child_fails_and_is_tried_again_in_the_same_moment(self, gyoza: Cluster) -> None:
        worker = gyoza.worker()
        run = at_work(gyoza, worker, retry_policy={"max_attempts": 2})
        adopt(gyoza, "one", run["id"])
        mine = waiting(gyoza, parents={"one": 0}, worker_id="w1")

        def wake() -> None:
            gyoza.shared.ends.wake(run["id"], "one")
            gyoza.shared.ends.answer_worker("w1")

        assert gyoza.client.portal is not None
        gyoza.client.portal.call(wake)
        assert mine.result(DEADLINE_S)["runs"] == []

    def test_once_where_the_request_comes_after_the_beat(self, gyoza: Cluster) -> None:
        gyoza.shared.ends.answer_worker("w1")
        late = gyoza.threads.submit(ended, gyoza, parents={"one": 0}, worker_id="w1", wait_s=20)
        assert late.result(DEADLINE_S)["runs"] == []
        mine = waiting(gyoza, parents={"one": 0}, worker_id="w1")
        gyoza.shared.ends.answer_worker("w1")
        mine.result(DEADLINE_S)
        waiting(gyoza, parents={"one": 0}, worker_id="w1")

    def test_of_all_when_the_server_stops(self, gyoza: Cluster) -> None:
        futures = [waiting(gyoza, ids=["x"]), waiting(gyoza, parents={"one": 0}, worker_id="w1")]
        gyoza.shared.stop_waiting()
        for future in futures:
            assert future.result(DEADLINE_S)["runs"] == []
        late = gyoza.threads.submit(ended, gyoza, ids=["x"], wait_s=20)
        assert late.result(DEADLINE_S)["runs"] == []


def test_what_is_asked_scans_no_runs(tmp_path: Path) -> None:
    with cluster(tmp_path / "db") as gyoza:
        gyoza.submit(id="a")
        adopt(gyoza, "one", "a")
        with statements() as seen:
            gyoza.patch("a", state="CANCELLED")
            assert ended(gyoza, ids=["a"], parents={"one": 0})["runs"]
        assert slow_steps(tmp_path / "db", seen) == []
