"""`kill -9` of a server, and of server and worker, at random moments while runs wait for runs: each run once.

`make test` takes a few moments; `make test-long` takes more, and both backends.
"""

from __future__ import annotations

import random
import time

import docker
import pytest

from tests.blackbox.families import check_each_ran_once, define_tree_of, submit_tree, whole_family
from tests.blackbox.house import House, WorkerProcess
from tests.waiting import until

PARENTS, CHILDREN, SLOTS = 4, 4, 2
DYING = ["server", "both"]
LONGEST_S = 1.0


def _kill_at_random_moments(house: House, dying: str, kills: int, work_s: float) -> None:
    engine: docker.APIClient | None = house.engine
    define_tree_of(house, engine)
    worker = house.worker(SLOTS)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    parents = [submit_tree(house, [CHILDREN], work_s) for _ in range(PARENTS)]
    until(lambda: any(house.client.get_run(run.id).waiting for run in parents), "one waits", 60)
    for _ in range(kills):
        assert not all(house.state(run).terminal for run in parents), "nothing is left to disturb"
        time.sleep(chance.uniform(0, LONGEST_S))
        _kill(house, worker, dying, chance.uniform(0, LONGEST_S))
    runs = whole_family(house, parents, PARENTS + PARENTS * CHILDREN, 240)
    check_each_ran_once(runs)
    house.until_ready(worker)
    house.until_free(worker)


def _kill(house: House, worker: WorkerProcess, dying: str, away_s: float) -> None:
    house.kill_server()
    if dying == "both":
        worker.kill()
        worker.start()
    time.sleep(away_s)
    house.start_server()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("dying", DYING)
def test_a_few_kills(house: House, dying: str) -> None:
    _kill_at_random_moments(house, dying, 5, work_s=1.0)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["local", pytest.param("docker", marks=pytest.mark.docker)])
@pytest.mark.parametrize("dying", DYING)
def test_thirty_kills(request: pytest.FixtureRequest, backend: str, dying: str) -> None:
    house: House = request.getfixturevalue("docker_house" if backend == "docker" else "house")
    _kill_at_random_moments(house, dying, 30, work_s=5.0)
