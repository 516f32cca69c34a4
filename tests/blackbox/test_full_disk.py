"""A disk that one op fills: that op ends, its neighbours keep their results, and a worker starts on it all the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import docker
import psutil
import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, WorkerProcess, failure
from tests.waiting import until

_SETTINGS: Final[dict[str, Any]] = {"GYOZA_MIN_FREE_MB": "8", "GYOZA_STOP_GRACE_S": "1"}
_FILL: Final = "while :; do cat /dev/zero >> fill || : > {signs}/full; sleep 0.01; done 2>/dev/null"
_KEEP: Final = """
echo '{{"kept": 1}}' > output.json; : > {signs}/ready
until [ -e {signs}/full ]; do sleep 0.02; done
"""
_UNTIL: Final = "until [ -e {signs}/{sign} ]; do sleep 0.02; done; "
"""`signs` is a directory on another disk."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Where the state directory will be: a disk of 48 MB."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted for this test, which needs root")
    disk = tmp_path / "state"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk is mounted for this test, which is not allowed here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    made = tmp_path / "signs"
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.fixture
def house(tmp_path: Path, small_disk: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def _free(disk: Path) -> int:
    return psutil.disk_usage(str(disk)).free


def _judge(house: House, worker: WorkerProcess, hog: OpRun, neighbour: OpRun, after: OpRun) -> None:
    kept = house.ended(neighbour)
    assert (kept.state, kept.outputs, kept.current_attempt) == (RunState.COMPLETED, {"kept": 1}, 1), worker.words
    stopped = house.ended(hog)
    failed = failure(stopped)
    assert (stopped.current_attempt, failed["reason"]) == (1, "filled_disk"), failed
    assert str(worker.root / "runs") in failed["message"]
    assert house.ended(after).state is RunState.COMPLETED
    house.until_free(worker)
    reserve = worker.root / "reserve"
    until(lambda: reserve.stat().st_blocks * 512 >= 16 << 20, "the reserve is made again")


def test_a_local_op_that_fills_the_disk_is_the_one_to_end(house: House, signs: Path) -> None:
    fill = house.op("fill", "sh", "-c", (_UNTIL + _FILL).format(signs=signs, sign="ready"))
    keep = house.op("keep", "sh", "-c", _KEEP.format(signs=signs))
    quick = house.op("quick", "true")
    worker = house.worker(**_SETTINGS)
    neighbour = house.client.create_run(keep)
    hog = house.client.create_run(fill)
    after = house.client.create_run(quick)
    _judge(house, worker, hog, neighbour, after)


def test_a_container_that_fills_the_disk_is_the_one_to_end(
    house: House, signs: Path, docker_engine: docker.APIClient
) -> None:
    house.engine = docker_engine
    worker = house.worker(**_SETTINGS, GYOZA_ALLOW_VOLUMES=str(signs))
    volumes = {str(signs): "/signs"}
    neighbour = house.script("cd /gyoza; " + _KEEP.format(signs="/signs"), volumes=volumes)
    fill = (_UNTIL + _FILL).format(signs="/signs", sign="ready")
    hog = house.script(f"cd /gyoza; trap 'exit 0' TERM; {fill}", volumes=volumes)
    after = house.script("true")
    _judge(house, worker, hog, neighbour, after)


def test_a_worker_starts_on_a_disk_that_an_op_keeps_full(house: House, small_disk: Path, signs: Path) -> None:
    """Killed before the op began; the op goes on to take each byte that is freed."""
    fill = house.op("fill", "sh", "-c", (_UNTIL + _FILL).format(signs=signs, sign="gate"))
    keep = house.op("keep", "sh", "-c", _KEEP.format(signs=signs))
    quick = house.op("quick", "true")
    worker = house.worker(**_SETTINGS)
    neighbour, hog = house.client.create_run(keep), house.client.create_run(fill)
    house.until_state(hog, RunState.RUNNING)
    house.until_state(neighbour, RunState.RUNNING)
    until((signs / "ready").exists, "the neighbour waits")
    until((worker.root / "disks.json").exists, "the disk was looked at")
    worker.kill()
    (signs / "gate").touch()
    until(lambda: _free(small_disk) == 0, "the disk is full")
    worker.start()
    house.until_ready(worker)
    _judge(house, worker, hog, neighbour, house.client.create_run(quick))
