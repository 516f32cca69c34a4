"""Many runs: never too many at once, seldom too few, each once, and nothing is left of them."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, Starts, WorkerProcess
from tests.images import BUSYBOX
from tests.waiting import until

pytestmark = pytest.mark.docker
SLOTS = 8


def submit(house: House, count: int, *command: str) -> None:
    for _ in range(count):
        house.client.create_run(BUSYBOX, command=list(command))


def until_all_completed(house: House, count: int, within_s: float) -> None:
    def left() -> int:
        return sum(1 for state in (RunState.PENDING, RunState.ASSIGNED, RunState.RUNNING) if _any(house, state))

    until(lambda: not left(), f"{count} runs end", within_s)
    assert _count(house, RunState.COMPLETED) == count


def _any(house: House, state: RunState) -> bool:
    return bool(house.client.list_runs(state=state, limit=1).items)


def _count(house: House, state: RunState) -> int:
    count, cursor = 0, None
    while True:
        page = house.client.list_runs(state=state, limit=200, after=cursor)
        count += len(page.items)
        if (cursor := page.cursor) is None:
            return count


PASSING: Final = 4
"""Threads and descriptors that come and go, as of connections that are kept; a leak is one for each run at least."""


def _resources(worker: WorkerProcess) -> tuple[int, int]:
    return worker.process.num_threads(), worker.process.num_fds()


@pytest.mark.parametrize(
    ("count", "op_s"),
    [
        pytest.param(24, "8"),
        pytest.param(200, "5", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
        pytest.param(2000, "5", marks=[pytest.mark.long, pytest.mark.timeout(1790)]),
    ],
)
def test_slots_are_full_and_never_more(docker_house: House, count: int, op_s: str) -> None:
    worker = docker_house.worker(SLOTS)
    submit(docker_house, SLOTS, "true")
    until_all_completed(docker_house, SLOTS, 60)
    docker_house.until_free(worker)
    before = _resources(worker)
    with Starts(worker) as starts:
        submit(docker_house, count, "sleep", op_s)
        until_all_completed(docker_house, SLOTS + count, 1700)
        docker_house.until_free(worker)
        until(lambda: starts.deaths == count, "the engine has told every end")
    assert len(starts.created) == count
    levels = list(starts.levels())
    assert max(running for _, _, running in levels) <= SLOTS
    full_at = next(at for at, _, running in levels if running == SLOTS)
    queue_ends_at = starts.created[count - SLOTS][0]
    busy = [(min(then, queue_ends_at) - at, n) for at, then, n in levels if full_at <= at < queue_ends_at]
    assert sum(time * n for time, n in busy) / sum(time for time, _ in busy) >= SLOTS - 1

    def as_before() -> bool:
        return all(now <= then + PASSING for now, then in zip(_resources(worker), before, strict=True))

    until(as_before, f"as many threads and descriptors as before, {before}")


@pytest.mark.parametrize(
    "count", [pytest.param(32), pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_two_workers_share(docker_house: House, count: int) -> None:
    """Each run on one of them, once, and neither idles."""
    workers = [docker_house.worker(4) for _ in range(2)]
    with Starts(*workers) as starts:
        submit(docker_house, count, "true")
        until_all_completed(docker_house, count, 550)
        docker_house.until_free(*workers)
        until(lambda: starts.deaths == count, "the engine has told every end")
    assert len({name for _, name in starts.created}) == len(starts.created) == count
    shares: Counter[str | None] = Counter()
    cursor = None
    while True:
        page = docker_house.client.list_runs(limit=200, after=cursor)
        for run in page.items:
            assert run.current_attempt == 1
            shares[run.worker_id] += 1
        if (cursor := page.cursor) is None:
            break
    assert min(shares[worker.id] for worker in workers) >= count * 0.3, shares
