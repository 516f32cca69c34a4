"""Anything that workers and people may do, in any order: the server's promises hold after every step."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.server.cluster import Cluster, Worker, cluster

WORKERS: dict[str, dict[str, Any]] = {
    "small": {"cpu_cores": 2, "ram_mb": 4000, "gpus": []},
    "gpu": {"cpu_cores": 4, "ram_mb": 8000, "gpus": [{"id": 0, "vram_mb": 8000}, {"id": 1, "vram_mb": 16000}]},
}
FEATURES = {"small": [], "gpu": ["fractional_cpu"]}
# few shapes, each too large for a worker to take many of: runs must compete
CONSTRAINTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"cpu": 2},
        {"cpu": 2},
        {"ram_mb": 3000},
        {"vram_mb": 6000},
        {"cpu": 1, "vram_mb": 9000, "gpu_id": 1},
        {},
        {"cpu": 5},
        {"cpu": 0.7},
    ]
)
NAMES = st.sampled_from(sorted(WORKERS))
PICK = st.integers(0, 10**6)


class Server(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="gyoza-test-"))
        self.stack = ExitStack()
        self.gyoza: Cluster = self.stack.enter_context(cluster(self.directory / "db"))
        self.workers: dict[str, Worker] = {}
        self.given: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        """What each worker was handed and has not reported the end of, as it would believe."""
        self.leases: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.slept = 0.0

    def teardown(self) -> None:
        try:
            self.stack.close()
        finally:
            shutil.rmtree(self.directory)

    @initialize()
    def begin(self) -> None:
        for name, resources in WORKERS.items():
            self.workers[name] = self.gyoza.worker(name, resources=resources, features=FEATURES[name])

    # What people do

    @rule(
        constraints=CONSTRAINTS,
        priorities=st.lists(st.integers(0, 3), min_size=1, max_size=4),
        attempts=st.integers(1, 3),
    )
    def submit(self, constraints: dict[str, int], priorities: list[int], attempts: int) -> None:
        policy = {"max_attempts": attempts, "max_infra_retries": 2}
        for priority in priorities:
            run = self.gyoza.submit(constraints=constraints, priority=priority, retry_policy=policy)
            self.ids.append(run["id"])

    @precondition(lambda self: self.ids)
    @rule(pick=PICK, state=st.sampled_from(["CANCELLED", "PENDING"]))
    def patch(self, pick: int, state: str) -> None:
        run_id = self.ids[pick % len(self.ids)]
        reply = self.gyoza.client.patch(f"/runs/{run_id}", json={"state": state})
        assert reply.status_code in (200, 400, 409), reply.text

    # What workers do

    @rule(name=NAMES, most=st.integers(0, 4))
    def claim(self, name: str, most: int) -> None:
        before = self._pending()
        held = {one["id"] for one in self.workers[name].listed}
        runs = self.workers[name].take(most)
        fresh = [run for run in runs if run["id"] in before]
        assert len(fresh) <= most
        assert not held & {run["id"] for run in runs if run["attempt"] == 1 and run["id"] not in before}
        for run in runs:
            self.given[name].append(run)
            self.leases.append(run)
        self._check_priority(fresh, before)

    def _check_priority(self, fresh: list[dict[str, Any]], before: dict[str, dict[str, Any]]) -> None:
        """What waits on with the same need was neither more urgent nor, equally urgent, older."""
        left = self._pending()
        for run in fresh:
            for other in left.values():
                if _need(other) != _need(before[run["id"]]) or other["attempt"] != 1 or other["id"] in self._returned():
                    continue
                assert (other["priority"], _age(other)) <= (run["priority"], _age(run)), (other, run)

    def _returned(self) -> set[str]:
        """Runs that were with a worker before: back-offs and pauses may hold them up."""
        return {run["id"] for run in self.leases}

    @precondition(lambda self: any(self.given.values()))
    @rule(name=NAMES, pick=PICK, kind=st.sampled_from(["STARTED", "PROGRESS", "COMPLETED", "FAILED", "CANCELLED"]))
    def report(self, name: str, pick: int, kind: str) -> None:
        if not (mine := self.given[name]):
            return
        run = mine[pick % len(mine)]
        worker = self.workers[name]
        event = {"type": kind, "msg": 5, "attempt": run["attempt"], "lease": run["lease"], "worker_id": name}
        if kind == "FAILED":
            event["payload"] = {"reason": ["op_error", "disk_full"][pick % 2], "message": "it failed"}
        reply = self.gyoza.client.post(f"/runs/{run['id']}/events", json=event | {"seq": next(worker.seqs)})
        assert reply.status_code in (200, 400, 409), reply.text
        if kind in ("COMPLETED", "FAILED", "CANCELLED") and reply.status_code != 400:
            mine.remove(run)
            worker.listed = [one for one in worker.listed if one["lease"] != run["lease"]]

    @precondition(lambda self: any(self.given.values()))
    @rule(name=NAMES, pick=PICK)
    def give_back(self, name: str, pick: int) -> None:
        if not (mine := self.given[name]):
            return
        run = mine.pop(pick % len(mine))
        worker = self.workers[name]
        own = {"worker_id": name, "attempt": run["attempt"], "lease": run["lease"]}
        reply = self.gyoza.client.patch(f"/runs/{run['id']}", json={"state": "PENDING", **own})
        assert reply.status_code in (200, 400, 409), reply.text
        worker.listed = [one for one in worker.listed if one["lease"] != run["lease"]]

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def intrude(self, pick: int) -> None:
        """A report with a lease that was never given, or by another worker, is refused and changes nothing."""
        run = self.leases[pick % len(self.leases)]
        before = self.gyoza.run(run["id"])
        thief = "small" if run["worker_id"] == "gpu" else "gpu"
        for wrong in ({"lease": "0" * 32}, {"lease": None}, {"worker_id": thief}):
            event = {"type": "COMPLETED", "attempt": run["attempt"], "lease": run["lease"]} | wrong
            reply = self.gyoza.client.post(f"/runs/{run['id']}/events", json=event)
            assert (reply.status_code, reply.json()["code"]) == (409, "not_yours"), reply.text
        assert self.gyoza.run(run["id"]) == before

    @rule(name=NAMES)
    def beat(self, name: str) -> None:
        worker = self.workers[name]
        verdicts = worker.beat()["runs"]
        for run in list(self.given[name]):
            if verdicts.get(run["id"], {}).get("verdict") in ("lost", "cancel"):
                self.given[name].remove(run)
                worker.listed = [one for one in worker.listed if one["lease"] != run["lease"]]

    @rule(name=NAMES)
    def restart(self, name: str) -> None:
        self.workers[name].identity["epoch"] += 1
        self.beat(name)

    @rule(seconds=st.sampled_from([1.0, 12.0, 70.0, 340.0]), beating=st.sets(NAMES))
    def wait(self, seconds: float, beating: set[str]) -> None:
        if self.slept > 1500:
            return
        self.slept += seconds
        while seconds > 0:
            self.gyoza.pass_time(min(4, seconds))
            seconds -= 4
            if int(seconds) % 20 < 4:
                for name in beating:
                    self.beat(name)

    # What must hold

    def _pending(self) -> dict[str, dict[str, Any]]:
        return {run["id"]: run for run in self.gyoza.get("/runs", state="PENDING", limit=1000)}

    @invariant()
    def never_over_committed(self) -> None:
        for name, resources in WORKERS.items():
            if name not in self.workers:
                continue
            cpu, ram, vram = 0, 0, defaultdict[int, int](int)
            for run in self._owned(name):
                constraints = next(a for a in run["attempts"] if a["attempt"] == run["current_attempt"])["constraints"]
                assert isinstance(constraints["cpu"], int | None) or FEATURES[name]
                cpu += round((constraints["cpu"] or 0) * 10)
                ram += constraints["ram_mb"] or 0
                vram[constraints["gpu_id"]] += constraints["vram_mb"] or 0
            assert cpu <= resources["cpu_cores"] * 10
            assert ram <= resources["ram_mb"]
            totals = {gpu["id"]: gpu["vram_mb"] for gpu in resources["gpus"]}
            assert all(used <= totals.get(gpu, 0) for gpu, used in vram.items())

    def _owned(self, name: str) -> list[dict[str, Any]]:
        listed = self.gyoza.get("/runs", worker_id=name, limit=1000)
        return [self.gyoza.run(run["id"]) for run in listed if run["state"] in ("ASSIGNED", "RUNNING")]

    @invariant()
    def rooms_are_what_the_rows_say(self) -> None:
        self.gyoza.check_rooms()

    @invariant()
    def one_owner_each(self) -> None:
        for run in self.gyoza.get("/runs", limit=1000):
            owned = run["state"] in ("ASSIGNED", "RUNNING")
            assert not owned or run["worker_id"] in WORKERS
            assert run["state"] != "PENDING" or run["worker_id"] is None


def _need(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(run["constraints"].items(), key=str))


def _age(run: dict[str, Any]) -> tuple[int, ...]:
    """Older is greater."""
    return tuple(-ord(character) for character in run["created_at"])


@pytest.mark.parametrize("histories", [5, pytest.param(100, marks=[pytest.mark.long])])
def test_what_must_hold_after_any_history(histories: int) -> None:
    run_state_machine_as_test(
        Server,
        settings=settings(
            max_examples=histories,
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
