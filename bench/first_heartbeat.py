"""From the start of the worker's process to its first heartbeat at the server."""

from __future__ import annotations

import contextlib
import statistics
import time

import httpx

from bench.place import place
from bench.report import report
from tests.blackbox.house import House
from tests.waiting import until

STARTS = 15
WARM_UP = 2


def took_s(house: House) -> float:
    """By the server's record of when it heard of it, which nobody asks for before the worker has loaded itself."""
    began = time.time()
    worker = house.worker(wait=False)
    until(lambda: worker.words, "it has begun")
    first = until(lambda: _heard(house, worker.id), "it is heard of")
    house.until_ready(worker)
    assert worker.drain() == 0, worker.words
    return first - began


def _heard(house: House, worker_id: str) -> float | None:
    with contextlib.suppress(httpx.HTTPStatusError):
        return house.client.get_worker(worker_id).last_seen.timestamp()
    return None


def main() -> None:
    with place() as house:
        times = [took_s(house) * 1000 for _ in range(WARM_UP + STARTS)][WARM_UP:]
    detail = f"median of {STARTS} starts; the slowest {max(times):.0f} ms"
    report("worker start to first heartbeat", detail, statistics.median(times), 600, at_most=True, unit=" ms")


if __name__ == "__main__":
    main()
