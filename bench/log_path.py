"""The same output through `docker run | cat` and through a worker's run, spooled and searched for events: bytes a
second, against each other."""

from __future__ import annotations

import statistics
import subprocess
import time

from bench.place import place
from bench.report import report
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.states import EventType
from tests.blackbox.house import House, WorkerProcess, events_of
from tests.images import BUSYBOX

SIZE = 256 * MIB
PAIRS = 5
SCRIPT = f"yes 'step 12345: loss 0.0123 accuracy 0.9876 lr 0.001 elapsed 12.3 s' | head -c {SIZE}"


def ours(house: House, worker: WorkerProcess) -> float:
    began = time.time()
    run = house.ended(house.script(SCRIPT), 120)
    (completed,) = events_of(run, EventType.COMPLETED)
    assert completed.received_at is not None
    assert worker.spool(run).bytes == SIZE
    return completed.received_at.timestamp() - began


def bare() -> float:
    began = time.time()
    subprocess.run(f'docker run --rm {BUSYBOX} sh -c "{SCRIPT}" | cat > /dev/null', shell=True, check=True)
    return time.time() - began


def main() -> None:
    with place() as house:
        worker = house.worker(GYOZA_DOCKER_NETWORK="bridge")
        pairs = []
        for number in range(PAIRS):
            if number % 2:
                first, second = ours(house, worker), bare()
            else:
                second, first = bare(), ours(house, worker)
            house.until_free(worker)
            pairs.append((first, second))
    run, container = (SIZE / MIB / statistics.median(times) for times in zip(*pairs, strict=True))
    detail = f"{PAIRS} pairs of {SIZE // MIB} MiB: the worker {run:.0f} MiB/s, docker run | cat {container:.0f} MiB/s"
    report("log path / docker run | cat", detail, run / container, 0.9, at_most=False)


if __name__ == "__main__":
    main()
