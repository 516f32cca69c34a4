"""What a person does to a run's container with `docker`: nothing of the run is lost, and it is shown."""

from __future__ import annotations

import docker
import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, WorkerProcess, ends, events_of
from tests.engine import PrivateEngine
from tests.waiting import until

pytestmark = pytest.mark.docker

_TWO_LIVES = """
echo x >> $GYOZA_OUTPUT_PATH.lives
if [ $(wc -l < $GYOZA_OUTPUT_PATH.lives) = 2 ]; then
    echo '{{"type": "INFO", "msg": "second life"}}'; sleep {second}; echo the-end; exit 0
fi
trap 'exit {code}' TERM
echo '{{"type": "INFO", "msg": "first life"}}'
printf 'half a line'
while :; do sleep 0.1; done
"""
_LIVES = {"quick": (0, 7), "polite": (1.5, 0), "slow": (3, 7)}
"""How long the second life lasts, and the exit code of the first one's TERM handler."""


def _container(house: House, run: OpRun) -> str:
    assert house.engine is not None
    (found,) = house.engine.containers(filters={"label": f"gyoza.run={run.id}"})
    return str(found["Id"])


def _up(worker: WorkerProcess, run: OpRun) -> bool:
    try:
        return b"half a line" in worker.log(run)
    except AssertionError:
        return False


def _check_two_lives(worker: WorkerProcess, run: OpRun) -> None:
    assert run.state is RunState.COMPLETED, (run, worker.words[-2000:])
    log = worker.log(run)
    assert log.count(b"half a line") == 1
    assert log.count(b"the-end") == 1
    _, marked, after = log.partition(b"the container was restarted from outside at ")
    assert marked, log
    assert b"second life" in after
    assert [event.msg for event in events_of(run, EventType.INFO)] == ["first life", "second life"]
    assert len(ends(run)) == 1


def test_a_restarted_container_is_followed_on(docker_house: House) -> None:
    house = docker_house
    assert house.engine is not None
    worker = house.worker(3)
    runs = [house.script(_TWO_LIVES.format(second=second, code=code)) for second, code in _LIVES.values()]
    until(lambda: all(_up(worker, run) for run in runs), "all are in their first life")
    for run in runs:
        house.engine.restart(_container(house, run), timeout=5)
    for run in runs:
        _check_two_lives(worker, house.ended(run))
    assert worker.words.count("restarted from outside") == len(runs)


@pytest.mark.long
def test_one_that_was_restarted_while_the_worker_was_away_is_followed_on(docker_house: House) -> None:
    house = docker_house
    assert house.engine is not None
    worker = house.worker(1)
    run = house.script(_TWO_LIVES.format(second=3, code=7))
    until(lambda: _up(worker, run), "it is in its first life")
    worker.kill()
    house.engine.restart(_container(house, run), timeout=5)
    worker.start()
    done = house.ended(run)
    assert done.state is RunState.COMPLETED
    assert worker.log(run).endswith(b"the-end\n")
    assert [event.msg for event in events_of(done, EventType.INFO)] == ["first life", "second life"]


def test_a_paused_container_is_shown_and_can_be_cancelled(docker_house: House) -> None:
    house = docker_house
    assert house.engine is not None
    worker = house.worker(2)
    goes_on = house.script("printf 'half a line'; until [ -e /gate ]; do sleep 0.1; done; echo; echo the-end")
    cancelled = house.script("printf 'half a line'; sleep 1000")
    until(lambda: _up(worker, goes_on) and _up(worker, cancelled), "both run")
    for run in (goes_on, cancelled):
        house.engine.pause(_container(house, run))
    until(lambda: worker.words.count("its container was paused from outside") == 2, "the worker says so")
    house.client.update_run(cancelled.id, state=RunState.CANCELLED)
    house.engine.unpause(_container(house, goes_on))
    house.engine.exec_start(house.engine.exec_create(_container(house, goes_on), ["touch", "/gate"])["Id"])
    assert house.ended(goes_on).state is RunState.COMPLETED
    assert b"UTC: the container was paused from outside]" in worker.log(goes_on)
    house.until_free(worker)
    assert house.state(cancelled) is RunState.CANCELLED


@pytest.mark.long
def test_a_worker_that_is_pointed_at_another_engine_holds_its_runs(
    docker_house: House, private_engine: PrivateEngine, docker_engine: docker.APIClient
) -> None:
    house = docker_house
    worker = house.worker(2)
    kept = house.script("printf 'half a line'; sleep 8; echo '{\"x\": 1}' > $GYOZA_OUTPUT_JSON")
    given_up = house.script("printf 'half a line'; sleep 1000")
    until(lambda: _up(worker, kept) and _up(worker, given_up), "both run")
    worker.kill()
    worker.environment["DOCKER_HOST"] = private_engine.host
    worker.start()
    until(lambda: worker.words.count("is held: made on another Docker engine") == 2, "the worker says so")
    house.client.update_run(given_up.id, state=RunState.CANCELLED)
    until(lambda: "not stopped, it may go on" in worker.words, "the cancel is done as far as it can be")
    assert house.state(kept) is RunState.RUNNING
    assert len(house.containers(worker)) == 2
    with private_engine.client() as other:
        assert other.containers(all=True) == []
    assert worker.drain(20) == 0, "it does not wait for what it cannot reach"
    del worker.environment["DOCKER_HOST"]
    worker.start()
    done = house.ended(kept)
    assert (done.state, done.outputs, done.current_attempt) == (RunState.COMPLETED, {"x": 1}, 1)
    house.until_free(worker)
    assert house.state(given_up) is RunState.CANCELLED
