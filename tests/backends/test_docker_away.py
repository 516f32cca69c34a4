"""The engine stopped, killed, hung: a private one, so that nobody else's containers notice."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    BackendOptions,
    BackendUnavailable,
    Chunk,
    Exit,
    Handle,
    Spec,
)
from gyoza_tui.backends.docker.backend import DockerBackend
from tests.backends.docker_ops import DockerOps
from tests.engine import PrivateEngine
from tests.waiting import until


@pytest.fixture
def ops(private_engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerOps:
    monkeypatch.setenv("DOCKER_HOST", private_engine.host)
    return DockerOps(tmp_path)


def test_no_engine_is_said_in_words_by_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    backend = DockerBackend(BackendOptions("w", "i", tmp_path))
    handle = {"id": "0" * 64, "name": "n", "io": "volume", "run_dir": ""}
    for call in (
        backend.check,
        lambda: backend.image_id("x"),
        lambda: backend.pull("x", print, threading.Event()),
        lambda: backend.create(Spec("n", "x", tmp_path)),
        lambda: backend.put(handle, {}),
        lambda: backend.output(handle, None),
        lambda: backend.start(handle),
        lambda: backend.wait(handle, 1),
        lambda: backend.state(handle),
        lambda: backend.stop(handle, 1),
        lambda: backend.usage(handle),
        lambda: backend.fetch(handle, "x", 1),
        lambda: backend.describe(handle),
        lambda: backend.find({}),
        lambda: backend.remove(handle),
        lambda: backend.prune({}),
    ):
        with pytest.raises(BackendUnavailable, match="engine installed and running"):
            call()
    backend.close()


@pytest.mark.docker
@pytest.mark.long
def test_an_engine_that_stops_is_not_the_ops_fault(ops: DockerOps, private_engine: PrivateEngine) -> None:
    """SIGTERM of an engine ends its containers, each with an exit code as if it had failed by itself."""
    plain, ends = _watched(ops, "sleep 1000")
    coded, _ = _watched(ops, "trap 'exit 3' TERM; while :; do sleep 0.1; done", ends)
    until(lambda: _running(ops, plain) and _running(ops, coded), "both run")
    private_engine.stop()
    until(lambda: len(ends) == 2, "both watchers have seen an end or an absence")
    private_engine.start()
    for handle in (plain, coded):
        end = ops.ended(handle)
        assert end.code != 0
        assert end.machine_fault is not None
    _, _, end = ops.run("echo again")
    assert (end.code, end.machine_fault) == (0, None)
    ops.close()


@pytest.mark.docker
@pytest.mark.long
def test_an_engine_that_is_killed_loses_the_stream_and_is_remembered(
    ops: DockerOps, private_engine: PrivateEngine
) -> None:
    handle, ends = _watched(ops, "sleep 1000")
    until(lambda: _running(ops, handle), "it runs")
    private_engine.kill()
    until(lambda: ends, "the watcher has seen an absence")
    with pytest.raises(BackendUnavailable):
        ops.backend.state(handle)
    private_engine.start()
    end = ops.ended(handle)
    assert end.machine_fault is not None
    ops.close()


@pytest.mark.docker
@pytest.mark.long
def test_a_reboot_is_the_machines_fault(ops: DockerOps, private_engine: PrivateEngine) -> None:
    """Engine, containers and worker are gone at once, and only the engine's record tells the next worker of it."""
    handle = ops.started("sleep 1000")
    private_engine.kill()
    private_engine.kill_containers()
    private_engine.start()
    worker_after = DockerBackend(ops.options)
    end = worker_after.state(handle)
    assert isinstance(end, Exit)
    assert end.machine_fault is not None
    assert "restarted" in end.machine_fault
    worker_after.close()
    _, _, op_error = ops.run("exit 255")
    assert (op_error.code, op_error.machine_fault) == (255, None)
    ops.close()


@pytest.mark.docker
@pytest.mark.long
def test_a_hung_engine_is_found_out_in_time_and_recovers(ops: DockerOps, private_engine: PrivateEngine) -> None:
    handle = ops.started("sleep 1000")
    private_engine.freeze()
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match="does not answer in time"):
        ops.backend.check()
    assert time.monotonic() - began < 5
    private_engine.thaw()
    ops.backend.check()
    assert ops.backend.state(handle) is AttemptPhase.RUNNING
    ops.close()


def _running(ops: DockerOps, handle: Handle) -> bool:
    return ops.backend.state(handle) is AttemptPhase.RUNNING


def _watched(ops: DockerOps, script: str, ends: list[object] | None = None) -> tuple[Handle, list[object]]:
    """Started, with a reader and a waiter, as a worker has them."""
    seen: list[object] = [] if ends is None else ends
    handle = ops.shell(script)
    output = ops.backend.output(handle, None)
    ops.backend.start(handle)

    def wait() -> None:
        chunks: list[Chunk] = list(output)
        try:
            state = ops.backend.wait(handle, 30)
            seen.append(state if isinstance(state, Exit) else chunks)
        except BackendError as error:
            seen.append(error)

    threading.Thread(target=wait, daemon=True).start()
    return handle, seen
