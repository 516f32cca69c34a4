"""Runs frozen and thawed through the server, at a real worker: through its death, to their end, and against a hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.backends.freezing import rests
from tests.blackbox.house import House, WorkerProcess, events_of, op_processes
from tests.waiting import until

_SCRIPT = 'echo up; until [ -e "$GATE" ]; do :; done; echo the-end'

Begun = tuple[House, WorkerProcess, Callable[[], tuple[OpRun, list[int]]], Path]


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def begun(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Begun]:
    """A worker, what submits a busy op to it and gives the pids of that, and the file that lets it end."""
    gate = tmp_path / "gate"
    with House(tmp_path) as house:
        if request.param == "docker":
            house.engine = request.getfixturevalue("docker_engine")
            worker = house.worker(2)
        else:
            image = house.op("busy", "sh", "-c", f'GATE="{gate}"; {_SCRIPT}')
            worker = house.worker(2)

        def submit() -> tuple[OpRun, list[int]]:
            run = house.client.create_run(image) if house.engine is None else house.script(f"GATE=/gate; {_SCRIPT}")
            until(lambda: _says(worker, run, b"up"), "the op runs")
            return run, _pids(house, worker, run)

        yield house, worker, submit, gate


def _says(worker: WorkerProcess, run: OpRun, words: bytes) -> bool:
    try:
        return words in worker.log(run)
    except AssertionError:
        return False


def _container(house: House, run: OpRun) -> str:
    assert house.engine is not None
    (found,) = house.engine.containers(filters={"label": f"gyoza.run={run.id}"})
    return str(found["Id"])


def _pids(house: House, worker: WorkerProcess, run: OpRun) -> list[int]:
    if house.engine is None:
        return [process.pid for process in op_processes(worker)]
    return [int(line[1]) for line in house.engine.top(_container(house, run))["Processes"]]


def _open(house: House, run: OpRun, gate: Path) -> None:
    if house.engine is None:
        gate.touch()
    else:
        house.engine.exec_start(house.engine.exec_create(_container(house, run), ["touch", "/gate"])["Id"])


def _freeze(house: House, run: OpRun) -> None:
    house.client.update_run(run.id, frozen=True, by="anna")
    until(lambda: house.client.get_run(run.id).frozen, "the server knows that it is frozen")


def _thaw(house: House, run: OpRun) -> None:
    house.client.update_run(run.id, frozen=False, by="anna")
    until(lambda: house.client.get_run(run.id).frozen is None, "the server knows that it goes on")


def test_a_frozen_run_outlives_its_worker_and_goes_on_when_it_is_thawed(begun: Begun) -> None:
    house, worker, submit, gate = begun
    run, pids = submit()
    _freeze(house, run)
    assert rests(pids)
    worker.kill()
    assert rests(pids)
    worker.start()
    house.until_ready(worker)
    assert rests(pids)
    assert house.client.get_run(run.id).frozen
    _thaw(house, run)
    assert not rests(pids)
    _open(house, run, gate)
    done = house.ended(run)
    assert (done.state, done.current_attempt) == (RunState.COMPLETED, 1)
    assert b"frozen by anna" in worker.log(run)
    told = " ".join(str(event.msg) for event in events_of(done, EventType.INFO))
    assert "anna asked its worker to freeze it" in told
    assert "thawed after" in told


def test_a_frozen_run_is_cancelled_like_any_other(begun: Begun) -> None:
    house, worker, submit, _ = begun
    run, pids = submit()
    _freeze(house, run)
    house.client.update_run(run.id, state=RunState.CANCELLED)
    house.until_free(worker)
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), "its processes are gone")


@pytest.mark.docker
def test_an_unpause_by_hand_is_noticed_and_not_undone(docker_house: House) -> None:
    house = docker_house
    assert house.engine is not None
    worker = house.worker(1)
    run = house.script("echo up; sleep 1000")
    until(lambda: _says(worker, run, b"up"), "the op runs")
    _freeze(house, run)
    house.engine.unpause(_container(house, run))
    until(lambda: house.client.get_run(run.id).frozen is None, "the server knows that it goes on")
    assert "goes on; it had been frozen by anna" in worker.words
    _freeze(house, run)
    assert house.engine.inspect_container(_container(house, run))["State"]["Paused"], "it is wanted anew"
    house.client.update_run(run.id, state=RunState.CANCELLED)
    house.until_free(worker)
