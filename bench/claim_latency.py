"""How long after `POST /runs` an idle worker has the run: claimed over its open long poll, and in its journal.

The server's own create is in it. Celery on Redis, measured on such a machine: 2.8 ms.
"""

from __future__ import annotations

import json
import statistics
import time
from datetime import datetime

from bench.place import place
from bench.report import report
from tests.blackbox.house import House, WorkerProcess
from tests.waiting import until

RUNS = 100
WARM_UP = 5
SETTLE_S = 0.2
"""After the last run's beats."""


def latency_s(house: House, worker: WorkerProcess, image: str) -> float:
    """Asks the server for nothing while it is measured."""
    time.sleep(SETTLE_S)
    began = time.time()
    run = house.client.create_run(image)
    line = until(lambda: next((w for w in worker.words.splitlines() if f"{run.id} claimed" in w), None), "it is told")
    house.ended(run)
    house.until_free(worker)
    return datetime.fromisoformat(json.loads(line)["t"]).timestamp() - began


def main() -> None:
    with place() as house:
        image = house.op("true", "true")
        worker = house.worker(GYOZA_LOG_FORMAT="json")
        times = [latency_s(house, worker, image) * 1000 for _ in range(WARM_UP + RUNS)][WARM_UP:]
    p50, p99 = statistics.median(times), statistics.quantiles(times, n=100)[98]
    report("idle claim latency, p50", f"{RUNS} runs, p99 {p99:.1f} ms", p50, 10, at_most=True, unit=" ms")


if __name__ == "__main__":
    main()
