"""Freezing containers on the real engine, until its record agrees; a frozen one is stopped and killed as any other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from requests import Response

from gyoza_tui.backends.base import AttemptElsewhere, AttemptPhase, BackendUnavailable, Exit, Handle
from gyoza_tui.backends.docker import freezing
from tests.backends.docker_ops import DockerOps
from tests.backends.freezing import load, rests
from tests.waiting import until

pytestmark = pytest.mark.docker
BUSY = "while :; do :; done & while :; do :; done"
POLITE = "trap 'exit 5' TERM; echo up; while :; do :; done"
DEAF = "trap '' TERM; echo up; while :; do :; done"


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    ops = DockerOps(tmp_path)
    yield ops
    ops.close()


def pids_of(engine: docker.APIClient, handle: Handle) -> list[int]:
    return [int(line[1]) for line in engine.top(handle["id"])["Processes"]]


def up(ops: DockerOps, engine: docker.APIClient, script: str) -> Handle:
    """Started, and so far that it has said so."""
    handle = ops.started(script)
    until(lambda: engine.logs(handle["id"]), "it is up")
    return handle


def paused(engine: docker.APIClient, handle: Handle) -> bool:
    return bool(engine.inspect_container(handle["id"])["State"]["Paused"])


def test_a_frozen_container_is_paused_and_uses_no_cpu(ops: DockerOps, docker_engine: docker.APIClient) -> None:
    handle = ops.started(BUSY)
    until(lambda: len(pids_of(docker_engine, handle)) >= 2, "its processes run")
    pids = pids_of(docker_engine, handle)
    assert not rests(pids)
    ops.backend.freeze(handle)
    assert paused(docker_engine, handle)
    assert rests(pids)
    assert ops.backend.state(handle) is AttemptPhase.RUNNING
    assert ops.backend.frozen(ops.labels) == {handle["name"]}
    ops.backend.freeze(handle)
    ops.backend.thaw(handle)
    assert not paused(docker_engine, handle)
    assert not rests(pids)
    assert ops.backend.frozen(ops.labels) == frozenset()
    ops.backend.thaw(handle)


def test_the_engines_record_agrees_at_once(ops: DockerOps, docker_engine: docker.APIClient) -> None:
    """It answers a call before it has written down what that did."""
    handle = ops.started(BUSY)
    with load():
        for _ in range(10):
            ops.backend.freeze(handle)
            assert paused(docker_engine, handle)
            ops.backend.thaw(handle)
            assert not paused(docker_engine, handle)


def test_what_does_not_run_is_left_alone(ops: DockerOps) -> None:
    ended, _, _ = ops.run("true")
    for handle in (ops.shell("true"), ended):
        ops.backend.freeze(handle)
        ops.backend.thaw(handle)
    assert isinstance(ops.backend.state(ended), Exit)
    assert ops.backend.frozen(ops.labels) == frozenset()


def test_one_that_is_gone_is_not_frozen_and_may_be_elsewhere(ops: DockerOps) -> None:
    handle = ops.started("sleep 60")
    ops.backend.stop(handle, 0)
    ops.backend.remove(handle)
    ops.backend.freeze(handle)
    ops.backend.thaw(handle)
    elsewhere = {**handle, "engine": {**handle["engine"], "id": "another"}}
    for call in (ops.backend.freeze, ops.backend.thaw):
        with pytest.raises(AttemptElsewhere):
            call(elsewhere)


def test_a_call_that_fails_is_made_again(
    ops: DockerOps, docker_engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine, where the engine answers 500 `unable to freeze` now and then."""
    handle = ops.started("sleep 60")
    real = docker.APIClient.pause
    failures = ["unable to freeze"] * 3

    def pause(client: docker.APIClient, container: str) -> None:
        if failures:
            answer = Response()
            answer.status_code = 500
            raise APIError("500", answer, failures.pop())
        real(client, container)

    monkeypatch.setattr(docker.APIClient, "pause", pause)
    ops.backend.freeze(handle)
    assert paused(docker_engine, handle)
    monkeypatch.setattr(freezing, "_DEADLINE_S", 0.2)
    ops.backend.thaw(handle)
    failures += ["unable to freeze"] * 1000
    with pytest.raises(BackendUnavailable, match="does not freeze: unable to freeze"):
        ops.backend.freeze(handle)


def test_a_frozen_container_ends_in_its_own_way_when_it_is_stopped(
    ops: DockerOps, docker_engine: docker.APIClient
) -> None:
    handle = up(ops, docker_engine, POLITE)
    ops.backend.freeze(handle)
    ops.backend.stop(handle, 10)
    assert ops.ended(handle).code == 5


def test_a_frozen_container_is_killed_at_once(ops: DockerOps, docker_engine: docker.APIClient) -> None:
    handle = up(ops, docker_engine, DEAF)
    ops.backend.freeze(handle)
    began = time.monotonic()
    ops.backend.stop(handle, 0)
    assert time.monotonic() - began < 2.0
    assert ops.ended(handle).signal == "SIGKILL"


def test_a_freeze_while_it_is_stopped_does_not_keep_it_alive(ops: DockerOps, docker_engine: docker.APIClient) -> None:
    handle = up(ops, docker_engine, POLITE)
    over = threading.Event()

    def freeze() -> None:
        while not over.is_set():
            ops.backend.freeze(handle)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        until(lambda: ops.backend.frozen(ops.labels), "it is frozen for the first time")
        began = time.monotonic()
        ops.backend.stop(handle, 8)
        assert time.monotonic() - began < 6, "it was let go on, and heard that it is to stop"
        assert ops.ended(handle).code == 5
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize(("script", "code"), [(POLITE, 5), (DEAF, 137)], ids=["polite", "deaf"])
def test_a_frozen_container_on_a_busy_machine_is_gone_within_its_grace_and_two_seconds(
    ops: DockerOps, docker_engine: docker.APIClient, script: str, code: int, rounds: int
) -> None:
    grace_s, took = 1, []
    with load():
        for _ in range(rounds):
            handle = up(ops, docker_engine, script)
            ops.backend.freeze(handle)
            began = time.monotonic()
            ops.backend.stop(handle, grace_s)
            took.append(time.monotonic() - began)
            assert ops.ended(handle).code == code
            ops.backend.remove(handle)
    print(f"{rounds} stops of a frozen container, {min(took):.2f} to {max(took):.2f} s, with {grace_s} s of grace")
    assert max(took) < grace_s + 2.0
