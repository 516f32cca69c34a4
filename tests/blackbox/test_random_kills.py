"""`kill -9` of a busy worker at random moments: each run once, its log whole, its end true."""

from __future__ import annotations

import random
import time

import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, ends, events_of
from tests.waiting import until

ACTIVE = 4
LINES = 25
COUNT = f"i=0; while [ $i -lt {LINES} ]; do echo $i; i=$((i+1)); sleep 0.1; done"
SCRIPT = COUNT + "; echo '{\"n\": 25}' > $GYOZA_OUTPUT_JSON"
KILLS = 30


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.docker
@pytest.mark.parametrize("backend", ["local", "docker"])
def test_kills_while_four_runs_are_active(request: pytest.FixtureRequest, backend: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    house: House = request.getfixturevalue("docker_house" if backend == "docker" else "house")
    image = house.op("op", "sh", "-c", SCRIPT)
    worker = house.worker(ACTIVE)
    runs: list[OpRun] = []

    def active() -> int:
        return sum(1 for run in runs if not house.state(run).terminal)

    for _ in range(KILLS):
        while active() < ACTIVE + 1:
            runs.append(house.script(SCRIPT) if backend == "docker" else house.client.create_run(image))
        until(lambda: "claimed" in worker.words, "it works")
        time.sleep(chance.uniform(0.1, 2.5))
        worker.kill()
        worker.start()
    house.until_ready(worker)
    for run in runs:
        ended = house.ended(run, 60)
        assert (ended.state, ended.outputs) == (RunState.COMPLETED, {"n": LINES}), ended.events
        assert ended.current_attempt == len(ends(ended)) == len(events_of(ended, EventType.STARTED)) == 1
        assert worker.log(run) == b"".join(b"%d\n" % number for number in range(LINES))
    house.until_free(worker)
