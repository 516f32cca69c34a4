"""A worker whose key is of the wrong role."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, ends
from tests.servers import SUBMIT_KEY, WORK_KEY
from tests.waiting import until


@pytest.mark.long
def test_a_worker_with_a_submit_key_says_so_keeps_its_run_and_goes_on_with_a_work_key(
    house: House, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    slow = house.op("slow", "sh", "-c", f"while [ ! -e {flag} ]; do sleep 0.1; done")
    worker = house.worker(GYOZA_API_KEY=WORK_KEY)
    run = house.client.create_run(slow, {})
    until(lambda: [op.phase for op in house.client.get_worker(worker.id).running_ops] == ["run_container"], "it runs")
    worker.kill()
    worker.start(GYOZA_API_KEY=SUBMIT_KEY)
    words = "a submit key may not send heartbeats: use a key of the role work or admin; trying again"
    until(lambda: words in worker.words, "the trouble named")
    flag.touch()
    until(lambda: "completed" in worker.words, "the op's end seen here")
    assert worker.alive
    assert house.state(run) is RunState.RUNNING
    worker.kill()
    worker.start()
    done = house.ended(run)
    assert (done.state, done.current_attempt) == (RunState.COMPLETED, 1)
    assert [event.type for event in ends(done)] == [EventType.COMPLETED]
    house.until_free(worker)
