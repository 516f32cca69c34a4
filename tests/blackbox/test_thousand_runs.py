"""A thousand runs that do nothing: all end, and the worker does not grow with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, WorkerProcess
from tests.commands import installed
from tests.servers import KEY
from tests.waiting import until

RUNS = 1000
SETTLED = 100
"""From this run on its memory is compared."""
GROWTH_MAX_MB = 5.0


def _completed(house: House) -> int:
    count, cursor = 0, None
    while True:
        page = house.client.list_runs(state=RunState.COMPLETED, limit=200, after=cursor)
        count += len(page.items)
        if not page.cursor:
            return count
        cursor = page.cursor


def _mb(worker: WorkerProcess) -> float:
    return float(worker.process.memory_info().rss / 1e6)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_all_end_and_the_worker_stays_as_it_is(house: House, tmp_path: Path) -> None:
    image = house.op("true", "true")
    worker = house.worker(2)
    told = installed(
        tmp_path,
        "submit",
        image,
        "--count",
        str(RUNS),
        env={"GYOZA_SERVER_URL": house.url, "GYOZA_API_KEY": KEY},
        timeout_s=120,
    )
    assert told.returncode == 0, told.stderr
    assert len(told.stdout.split()) == RUNS
    until(lambda: _completed(house) >= SETTLED, f"{SETTLED} runs have ended", 120)
    before = _mb(worker)
    until(lambda: _completed(house) == RUNS, f"{RUNS} runs have ended", 500)
    house.until_free(worker)
    grown = _mb(worker) - before
    assert grown < GROWTH_MAX_MB, f"{grown:.1f} MB in {RUNS - SETTLED} runs"
