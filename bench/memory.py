"""What a headless worker takes of memory when it has nothing to do, its first run behind it."""

from __future__ import annotations

import statistics
import time

from bench.place import place
from bench.report import report

SAMPLES = 20
MB = 1_000_000


def main() -> None:
    with place() as house:
        worker = house.worker()
        fresh = worker.process.memory_info().rss / MB
        house.ended(house.script("true"))
        house.until_free(worker)
        taken = []
        for _ in range(SAMPLES):
            time.sleep(0.25)
            taken.append(worker.process.memory_info().rss / MB)
    detail = f"median of {SAMPLES} looks; {fresh:.1f} MB before its first run"
    report("headless RSS, idle", detail, statistics.median(taken), 75, at_most=True, unit=" MB")


if __name__ == "__main__":
    main()
