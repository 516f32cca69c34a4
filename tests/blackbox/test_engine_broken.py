"""The engine answers and starts nothing: the queue waits, with the reason, and is worked off after the repair."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, WorkerProcess, events_of, failure
from tests.engine import PrivateEngine
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]


def test_a_broken_network_costs_no_run_anything(
    tmp_path: Path, bridged_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", bridged_engine.host)
    with closing(bridged_engine.client()) as engine, House(tmp_path) as house:
        house.engine = engine
        (tmp_path / "volume").mkdir()
        worker = house.worker(2, GYOZA_DOCKER_NETWORK="bridge", GYOZA_ALLOW_VOLUMES=str(tmp_path / "volume"))
        _nothing_can_start_it_and_no_neighbour_suffers(house, worker, tmp_path / "volume")
        bridged_engine.break_network()
        runs = [house.script("true", retry_policy={"max_infra_retries": 0}) for _ in range(5)]
        until(lambda: "docker" not in house.client.get_worker(worker.id).backends, "the worker offers no Docker")

        def placed() -> str:
            return house.client.get_run(runs[-1].id).placement or ""

        until(lambda: "could not find bridge docker0" in placed(), "the server says why it waits")
        assert worker.id in placed()
        assert engine.ping()
        until(lambda: all(house.state(run) is RunState.PENDING for run in runs), "all are given back")
        bridged_engine.repair_network()
        done = [house.ended(run) for run in runs]
        assert [run.state for run in done] == [RunState.COMPLETED] * 5
        assert [events_of(run, EventType.FAILED) for run in done] == [[]] * 5
        assert "docker starts runs again" in worker.words


def _nothing_can_start_it_and_no_neighbour_suffers(house: House, worker: WorkerProcess, volume: Path) -> None:
    refused = house.script("true", volumes={str(volume): "/bin/busybox"})
    after = house.script("true")
    failed = house.ended(refused)
    assert (failed.state, failed.current_attempt, failure(failed)["reason"]) == (RunState.FAILED, 1, "not_executable")
    assert house.ended(after).state is RunState.COMPLETED
    assert "docker" in house.client.get_worker(worker.id).backends
