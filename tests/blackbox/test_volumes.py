"""What runs of one worker may mount at the same time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gyoza_tui.models.states import RunState
from tests.blackbox.house import House

pytestmark = pytest.mark.docker

_SWAPS = "cd /data; while :; do mv x y; ln -s {outside} x; sleep 0.01; rm x; mv y x; done"


def test_a_run_below_a_live_runs_volume_is_given_back(docker_house: House, tmp_path: Path) -> None:
    """The neighbour leads the path outside again and again; one that shares its directory runs beside it."""
    house, outside = docker_house, tmp_path / "outside"
    inner = tmp_path / "data" / "x"
    for folder in (inner.parent, inner, outside):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    worker = house.worker(3, GYOZA_ALLOW_VOLUMES=str(tmp_path / "data"), GYOZA_PULL_POLICY="never")
    neighbour = house.script(_SWAPS.format(outside=outside), volumes={str(inner.parent): "/data"})
    house.until_state(neighbour, RunState.RUNNING)
    below = house.script("touch /data/below", volumes={str(inner): "/data"})
    beside = house.script("echo kept > /data/beside", volumes={str(inner.parent): "/data"})
    assert house.ended(beside).state is RunState.COMPLETED
    assert f"{below.id} given back: its volume '{inner}' and '{inner.parent}', which {neighbour.id} has" in worker.words
    assert house.state(below) is RunState.PENDING
    assert os.listdir(outside) == []
    for run in (neighbour, below):
        house.client.update_run(run.id, state=RunState.CANCELLED)
    house.until_free(worker)
    assert (inner.parent / "beside").read_text() == "kept\n"
    assert beside.id not in Path("/proc/self/mountinfo").read_text()
