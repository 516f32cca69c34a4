"""From submit to COMPLETED at the server, against a bare `docker run --rm` of the same: at most 1.1 times as long.

Taken in pairs, one after the other in changing order, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import statistics
import subprocess
import time

from bench.place import place
from bench.report import report
from gyoza_tui.models.states import EventType
from tests.blackbox.house import House, events_of
from tests.images import BUSYBOX

PAIRS = 30
WARM_UP = 3
SETTLE_S = 0.3
"""Before each: the worker is idle, and so is the engine."""


def ours(house: House) -> float:
    time.sleep(SETTLE_S)
    began = time.time()
    run = house.client.create_run(BUSYBOX, command=["true"])
    (completed,) = events_of(house.ended(run), EventType.COMPLETED)
    assert completed.received_at is not None
    return completed.received_at.timestamp() - began


def bare() -> float:
    time.sleep(SETTLE_S)
    began = time.time()
    subprocess.run(["docker", "run", "--rm", BUSYBOX, "true"], check=True, capture_output=True)
    return time.time() - began


def main() -> None:
    with place() as house:
        worker = house.worker(GYOZA_DOCKER_NETWORK="bridge")
        pairs = []
        for number in range(WARM_UP + PAIRS):
            if number % 2:
                first, second = ours(house), bare()
            else:
                second, first = bare(), ours(house)
            house.until_free(worker)
            pairs.append((first, second))
    runs, containers = (statistics.median(times) * 1000 for times in zip(*pairs[WARM_UP:], strict=True))
    detail = f"medians of {PAIRS} pairs: submit to COMPLETED {runs:.0f} ms, docker run --rm {containers:.0f} ms"
    report("submit to COMPLETED / docker run", detail, runs / containers, 1.1, at_most=True)


if __name__ == "__main__":
    main()
