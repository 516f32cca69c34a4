"""Ends as the engine tells them by itself, before an inspection would answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends.base import Exit
from gyoza_tui.backends.docker.containers import Containers
from gyoza_tui.models.constraints import Constraints
from tests.backends.docker_ops import DockerOps, joined
from tests.images import PYTHON

pytestmark = pytest.mark.docker


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    ops = DockerOps(tmp_path)
    yield ops
    ops.close()


def test_a_good_end_needs_no_inspection(ops: DockerOps, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = ops.shell("echo x")
    output = ops.backend.output(handle, None)
    ops.backend.start(handle)
    with monkeypatch.context() as patch:
        patch.delattr(Containers, "inspect")
        joined(output)
        told = ops.ended(handle)
    inspected = ops.backend.state(handle)
    assert isinstance(inspected, Exit)
    assert (told.code, inspected.code) == (0, 0)
    assert told.started_at == pytest.approx(inspected.started_at, abs=1)
    assert told.finished_at == pytest.approx(inspected.finished_at, abs=1)


@pytest.mark.parametrize("code", [0, 7])
def test_an_op_that_closes_its_output_has_not_ended(ops: DockerOps, code: int) -> None:
    _, _, end = ops.run(f"exec >&- 2>&-; sleep 1.5; exit {code}")
    assert end.code == code
    assert end.machine_fault is None
    assert end.started_at is not None
    assert end.finished_at is not None
    assert end.finished_at - end.started_at > 1.4


def test_a_child_killed_for_memory_is_still_a_warning(ops: DockerOps) -> None:
    script = "python3 -c 'x = bytearray(200 << 20)'; echo survived"
    _, _, end = ops.run(script, image=PYTHON, constraints=Constraints(ram_mb=50))
    assert (end.code, end.oom) == (0, False)
    assert "memory" in str(end.warning)


def test_the_start_is_known_while_it_runs(ops: DockerOps) -> None:
    handle = ops.shell("sleep 100")
    assert ops.backend.started_at(handle) is None
    before = time.time()
    ops.backend.start(handle)
    assert ops.backend.started_at(handle) == pytest.approx(before, abs=5)
    ops.backend.stop(handle, 0)
    ops.backend.remove(handle)
    assert ops.backend.started_at(handle) is None


def test_an_output_let_go_leaves_the_end_to_a_wait(ops: DockerOps) -> None:
    handle = ops.shell("echo x; exit 0")
    output = ops.backend.output(handle, None)
    ops.backend.start(handle)
    output.close()
    assert ops.ended(handle).code == 0


def test_what_another_program_ends_is_told_from_what_the_op_does(
    ops: DockerOps, docker_engine: docker.APIClient
) -> None:
    _, _, own = ops.run("exit 143")
    assert (own.code, own.signal, own.from_outside) == (143, None, False)
    handle = ops.started("exec sleep 100")
    docker_engine.kill(handle["id"], signal="TERM")
    ended = ops.ended(handle)
    assert (ended.code, ended.signal, ended.from_outside) == (143, "SIGTERM", True)
