"""Runs that wait for runs give their slot away: no deadlock, each run once, never more awake than there are slots."""

from __future__ import annotations

import random
from collections.abc import Sequence

import docker
import pytest

from gyoza_tui.models.runs import OpRun
from tests.blackbox.families import check_each_ran_once, define_tree_of, most_awake, submit_tree, whole_family
from tests.blackbox.house import House, WorkerProcess

BACKENDS = [pytest.param("local"), pytest.param("docker", marks=pytest.mark.docker)]
WITHIN_S = 1200


def _house(request: pytest.FixtureRequest, backend: str) -> House:
    house: House = request.getfixturevalue("docker_house" if backend == "docker" else "house")
    engine: docker.APIClient | None = house.engine if backend == "docker" else None
    define_tree_of(house, engine)
    return house


def _check(house: House, worker: WorkerProcess, parents: Sequence[OpRun], slots: int, number: int) -> None:
    runs = whole_family(house, parents, number, WITHIN_S)
    check_each_ran_once(runs)
    assert most_awake(house.client.get_run(run.id) for run in parents) <= slots
    house.until_free(worker)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", BACKENDS)
def test_four_parents_of_eight_children_on_two_slots(request: pytest.FixtureRequest, backend: str) -> None:
    house = _house(request, backend)
    worker = house.worker(2)
    _check(house, worker, [submit_tree(house, [8]) for _ in range(4)], 2, 4 + 4 * 8)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", BACKENDS)
def test_three_generations_on_one_slot(request: pytest.FixtureRequest, backend: str) -> None:
    house = _house(request, backend)
    worker = house.worker(1)
    _check(house, worker, [submit_tree(house, [4, 4])], 1, 1 + 4 + 16)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_hundred_parents_of_ten_children_on_four_slots(request: pytest.FixtureRequest, backend: str) -> None:
    house = _house(request, backend)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    worker = house.worker(4)
    parents = [
        submit_tree(house, [10], work_s=chance.uniform(0, 0.2), priority=chance.randrange(10)) for _ in range(100)
    ]
    _check(house, worker, parents, 4, 1100)
