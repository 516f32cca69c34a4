"""64 runs at 8 at a time, from the first submit to the last COMPLETED at the server, against the same containers by
`xargs -P8 docker run --rm`: at most 1.1 times as long.

Taken in pairs, one after the other in changing order, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import statistics
import subprocess
import time

from bench.place import place
from bench.report import report
from gyoza_tui.models.states import OWNED, EventType, RunState
from tests.blackbox.house import House, WorkerProcess, events_of
from tests.images import BUSYBOX

RUNS = 64
AT_ONCE = 8
PAIRS = 5
LOOK_S = 0.5


def ours(house: House, worker: WorkerProcess) -> float:
    began = time.time()
    runs = [house.client.create_run(BUSYBOX, command=["true"]) for _ in range(RUNS)]
    time.sleep(LOOK_S)
    while any(house.client.list_runs(state=state, limit=1).items for state in (RunState.PENDING, *OWNED)):
        time.sleep(LOOK_S)  # seldom: who asks takes time from those who work
    ends = [event.received_at for run in runs for event in events_of(house.ended(run), EventType.COMPLETED)]
    house.until_free(worker)
    told = [end.timestamp() for end in ends if end is not None]
    assert len(told) == RUNS, f"{len(told)} of {RUNS} have completed"
    return max(told) - began


def bare() -> float:
    began = time.time()
    words = f"seq {RUNS} | xargs -P{AT_ONCE} -I{{}} docker run --rm {BUSYBOX} true"
    subprocess.run(words, shell=True, check=True, capture_output=True)
    return time.time() - began


def main() -> None:
    with place() as house:
        worker = house.worker(AT_ONCE, GYOZA_DOCKER_NETWORK="bridge")
        house.ended(house.script("true"))
        house.until_free(worker)
        pairs = []
        for number in range(PAIRS):
            if number % 2:
                first, second = ours(house, worker), bare()
            else:
                second, first = bare(), ours(house, worker)
            pairs.append((first, second))
    runs, containers = (statistics.median(times) for times in zip(*pairs, strict=True))
    detail = f"medians of {PAIRS} pairs: {RUNS} runs {runs:.1f} s, xargs -P{AT_ONCE} docker run --rm {containers:.1f} s"
    report("many runs / xargs docker run", detail, runs / containers, 1.1, at_most=True)


if __name__ == "__main__":
    main()
