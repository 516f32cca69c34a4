"""Workers that drain, are paused, are detached, or live for a few runs only, while a run of theirs waits for others."""

from __future__ import annotations

import subprocess

import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.blackbox.families import check_each_ran_once, define_tree_of, submit_tree
from tests.blackbox.house import House
from tests.commands import installed
from tests.servers import KEY
from tests.waiting import until

BELOW = [2, 1]
FAMILY = 1 + 2 + 2
WORK_S = 0.7


@pytest.fixture
def forest(house: House) -> House:
    """With an op that belongs to no family too."""
    define_tree_of(house)
    house.op("other", "true")
    return house


def _submit(house: House) -> OpRun:
    return submit_tree(house, BELOW, WORK_S)


def _submit_other(house: House) -> OpRun:
    """It goes before all families."""
    return house.client.create_run("local://other", priority=10)


def _until_waiting(house: House, run: OpRun) -> None:
    until(lambda: house.client.get_run(run.id).waiting, "the parent waits", 60)


def _family(house: House, run: OpRun) -> list[OpRun]:
    listed = house.client.list_runs(parent=run.id).items
    return [house.client.get_run(run.id), *(below for child in listed for below in _family(house, child))]


def _check(house: House, parent: OpRun) -> None:
    runs = _family(house, parent)
    assert len(runs) == FAMILY
    check_each_ran_once(runs)


def _typed(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = installed(house.root, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def _session(house: House, *flags: str) -> None:
    """A worker of one slot by the installed command, to its end."""
    arguments = ["--no-ui", "--server", house.url, "--ops-file", str(house.ops_file), "--max-runs", "1", *flags]
    ended = installed(house.root, *arguments, timeout_s=120, env={"GYOZA_API_KEY": KEY, "GYOZA_MIN_FREE_MB": "0"})
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_drain_ends_with_the_whole_family_and_nothing_else(forest: House) -> None:
    worker = forest.worker(1)
    parent = _submit(forest)
    _until_waiting(forest, parent)
    _typed(forest, "drain", worker.id)
    until(lambda: forest.client.get_worker(worker.id).state == "draining", "the server knows")
    other = _submit_other(forest)
    until(lambda: not worker.alive, "it ends by itself", 120)
    _check(forest, parent)
    assert forest.state(other) is RunState.PENDING


def test_a_paused_worker_takes_no_child_until_it_is_resumed(forest: House) -> None:
    worker = forest.worker(1)
    parent = submit_tree(forest, [1], 3.0)
    forest.until_state(parent, RunState.RUNNING)
    _typed(forest, "pause", worker.id)
    _until_waiting(forest, parent)
    [child] = forest.client.list_runs(parent=parent.id).items
    until(lambda: forest.client.get_run(child.id).placement, "the server says why it waits")
    beat = forest.client.get_worker(worker.id).last_seen
    until(lambda: (forest.client.get_worker(worker.id).last_seen - beat).total_seconds() > 2, "two more beats")
    assert forest.state(child) is RunState.PENDING
    _typed(forest, "resume", worker.id)
    forest.ended(parent, 60)
    check_each_ran_once(_family(forest, parent))


def test_a_detached_parent_is_adopted_and_goes_on(forest: House) -> None:
    worker = forest.worker(1, GYOZA_ON_SIGTERM="detach")
    parent = _submit(forest)
    _until_waiting(forest, parent)
    assert worker.drain() == 0
    assert forest.state(parent) is RunState.RUNNING
    worker.start(GYOZA_ON_SIGTERM="drain")
    forest.ended(parent, 120)
    _check(forest, parent)
    forest.until_free(worker)


def test_a_session_for_one_run_takes_its_family_along(forest: House) -> None:
    parent, other = _submit(forest), _submit_other(forest)
    _session(forest, "--run", parent.id)
    _check(forest, parent)
    assert forest.state(other) is RunState.PENDING


def test_a_session_until_all_is_done_waits_for_the_families(forest: House) -> None:
    parents, other = [_submit(forest) for _ in range(2)], _submit_other(forest)
    _session(forest, "--until-empty")
    for parent in parents:
        _check(forest, parent)
    assert forest.state(other) is RunState.COMPLETED
