"""Bodies over 64 KiB: read by a process of its own, whose end costs one request."""

from __future__ import annotations

import subprocess
import threading
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gyoza_tui.models.limits import KIB
from gyoza_tui.server import bodies, body_reader
from tests.server.cluster import Cluster, cluster, until
from tests.server.process import server_process

LARGE = {"image": "busybox", "inputs": {"text": "x" * 100 * KIB}}


def _readers(pid: int | None = None) -> list[psutil.Process]:
    """The processes that read for a server."""
    return [each for each in psutil.Process(pid).children() if "gyoza_tui.server.body_child" in each.cmdline()]


def _large(gyoza: Cluster) -> httpx.Response:
    reply: httpx.Response = gyoza.client.post("/runs", json=LARGE)
    return reply


def _assert_not_read(reply: httpx.Response) -> None:
    assert (reply.status_code, reply.json()["code"]) == (503, "busy")
    assert "try again" in reply.json()["detail"]


def test_only_large_bodies_are_read_by_a_process_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def noted(body: bytes, kind: type) -> bodies.Body:
        read.append(len(body))
        return bodies.read(body, kind)

    monkeypatch.setattr(body_reader, "read", noted)
    with cluster(tmp_path / "server.db") as gyoza:
        gyoza.submit()
        assert _readers() == []
        for _ in range(2):
            assert _large(gyoza).json()["inputs"] == LARGE["inputs"]
        [reader] = _readers()
    assert not reader.is_running(), "it ends with the server"
    assert len(read) == 1
    assert read[0] < KIB


def test_a_reader_that_ends_costs_the_request_that_it_reads(gyoza: Cluster) -> None:
    assert _large(gyoza).status_code == 201
    [reader] = _readers()
    reader.suspend()
    reply = gyoza.threads.submit(_large, gyoza)
    until(lambda: any(isinstance(thread, threading.Timer) for thread in threading.enumerate()), "it is being read")
    reader.kill()
    _assert_not_read(reply.result(20))
    assert _large(gyoza).status_code == 201
    [reader] = _readers()
    reader.kill()
    until(lambda: reader.status() == psutil.STATUS_ZOMBIE, "it has ended")
    assert _large(gyoza).status_code == 201, "one that ended when nothing was read costs no request"


def test_a_reader_that_hangs_is_ended(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _large(gyoza).status_code == 201
    [reader] = _readers()
    reader.suspend()
    monkeypatch.setattr(body_reader, "_DEADLINE_S", 0.1)
    _assert_not_read(_large(gyoza))
    assert not reader.is_running()


def test_a_reader_that_cannot_start_costs_the_request(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object, **_more: object) -> None:
        raise OSError("no more processes")

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", refuse)
        _assert_not_read(_large(gyoza))
    assert _large(gyoza).status_code == 201


@pytest.mark.parametrize("end", ["kill", "close"])
def test_the_reader_ends_with_its_server(tmp_path: Path, end: str) -> None:
    with server_process(tmp_path / "server.db") as server:
        assert httpx.post(f"{server.url}/runs", json=LARGE).status_code == 201
        [reader] = _readers(server.process.pid)
        getattr(server, end)()
        until(lambda: not reader.is_running(), "the reader has ended")


def test_a_large_payload_is_stored_whole_and_its_reason_read(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    [run] = worker.take()
    worker.start(run)
    payload: dict[str, Any] = {"more": [{"text": "\u00fc"}] * 10_000, "reason": "internal", "message": "its disk broke"}
    worker.report(run, "FAILED", payload=payload)
    after = gyoza.run(run["id"])
    assert (after["state"], after["infra_retries"]) == ("PENDING", 1), "a fault of the machine is retried"
    assert after["attempts"][0]["execution_summary"]["error_message"] == "its disk broke"
    assert after["attempts"][0]["events"][-1]["payload"] == payload


OUTPUTS: list[dict[str, Any]] = [{}, {"list": [1.5, {"reason": 2}]}, {"reason": ["a"], "exit_code": {}}]


def test_outputs_are_stored_whole_small_or_large_by_either_way(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    for outputs, padding, patched in product(OUTPUTS, ({}, {"text": "\u00fc" * 100 * KIB}), (False, True)):
        given = outputs | padding
        gyoza.submit()
        [run] = worker.take()
        worker.start(run)
        fence = {"worker_id": worker.id, "attempt": run["attempt"], "lease": run["lease"]}
        if patched:
            assert gyoza.patch(run["id"], outputs=given, **fence)["outputs"] == given
            gyoza.patch(run["id"], state="COMPLETED", outputs=given, **fence)
        else:
            worker.report(run, "COMPLETED", payload=given)
        after = gyoza.run(run["id"])
        assert after["state"] == "COMPLETED"
        assert after["outputs"] == after["events"][-1]["payload"] == given
