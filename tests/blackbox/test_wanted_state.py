"""A worker that is paused, resumed and drained at its server by the installed command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, WorkerProcess
from tests.commands import COMMAND
from tests.servers import SUBMIT_KEY
from tests.waiting import until


def typed(house: House, *arguments: str) -> str:
    """What the command prints, with the key of a person who submits."""
    environment = {"PATH": str(Path(sys.executable).parent), "GYOZA_API_KEY": SUBMIT_KEY, "LOGNAME": "anna"}
    environment |= {"HOME": str(house.root), "GYOZA_STATE_DIR": str(house.root / "desk")}
    argv = [COMMAND, *arguments, "--server", house.url]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def state(house: House, worker: WorkerProcess) -> Any:
    return str(house.client.get_worker(worker.id).state)


def test_paused_through_a_restart_resumed_and_drained(house: House, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    quick = house.op("quick", "true")
    slow = house.op("slow", "sh", "-c", f"while [ ! -e {flag} ]; do sleep 0.1; done")
    worker = house.worker()
    assert "asked" in typed(house, "pause", "--worker", worker.id)
    until(lambda: state(house, worker) == "paused", "it is paused")
    assert f"{worker.id}: wanted paused by anna" in typed(house, "workers")
    assert "paused by anna at the server" in worker.words
    worker.kill()
    waits = house.client.create_run(quick, {})
    worker.start()
    until(lambda: worker.words.count("paused by anna at the server") == 2, "the next start is paused")
    until(lambda: state(house, worker) == "paused", "it says so")
    assert house.state(waits) is RunState.PENDING
    typed(house, "resume", "--worker", worker.id)
    assert house.ended(waits).state is RunState.COMPLETED

    runs = house.client.create_run(slow, {})
    house.until_state(runs, RunState.RUNNING)
    typed(house, "drain", "--worker", worker.id)
    until(lambda: state(house, worker) == "draining", "it drains")
    waits = house.client.create_run(quick, {})
    assert worker.alive, "it has a run"
    flag.touch()
    until(lambda: not worker.alive, "it has exited")
    assert house.ended(runs).state is RunState.COMPLETED
    assert house.client.list_workers() == []

    worker.start()
    house.until_ready(worker)
    until(lambda: state(house, worker) == "paused", "a drained worker is paused when it is started again")
    assert house.state(waits) is RunState.PENDING
    typed(house, "resume", "--worker", worker.id)
    assert house.ended(waits).state is RunState.COMPLETED
