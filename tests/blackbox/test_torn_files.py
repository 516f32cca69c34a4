"""After a power cut: half a file of one attempt costs that attempt, and nothing else."""

from __future__ import annotations

import contextlib

import psutil

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import House, WorkerProcess, events_of, op_processes
from tests.waiting import until


def test_an_empty_control_file_ends_one_attempt_and_the_queue_goes_on(house: House) -> None:
    held, quick = house.op("held", "sh", "-c", "echo up; exec sleep 100"), house.op("quick", "true")
    worker = house.worker(2)
    run = house.client.create_run(held)
    house.until_state(run, RunState.RUNNING)
    (control,) = until(lambda: list((worker.root / "local").glob("gyoza-*")), "its directory")
    until((control / "started").exists, "its start")
    worker.kill()
    until(lambda: _killed(worker), "the end of its op's processes")
    for name in ("started", "spec.json"):
        (control / name).write_bytes(b"")
    worker.start()
    house.until_ready(worker)

    def again() -> OpRun | None:
        now = house.client.get_run(run.id)
        return now if now.current_attempt == 2 else None

    (failed,) = events_of(until(again, "its next attempt", 30), EventType.FAILED)
    assert failed.payload is not None
    assert failed.payload["reason"] == "backend_restarted"
    assert "the file started of its control directory is damaged: it is empty or cut" in failed.payload["message"]
    assert house.ended(house.client.create_run(quick)).state is RunState.COMPLETED
    until(lambda: not control.exists(), "nothing of the attempt is left")
    house.client.update_run(run.id, state=RunState.CANCELLED)
    house.until_free(worker)


def _killed(worker: WorkerProcess) -> bool:
    """Whether none is left. One that is killed may just have made another."""
    found = op_processes(worker)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return not found
