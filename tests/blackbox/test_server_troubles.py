"""A worker process and a server that is away, hangs, dies, or is not what answers."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import HEARTBEAT_S, LATE_S, House, WorkerProcess, ends, events_of
from tests.fault_proxy import FaultProxy
from tests.scripted_server import Reply
from tests.server.process import ServerProcess
from tests.servers import KEY
from tests.waiting import until

_QUICK = """
for n in 1 2 3; do echo '{"type": "INFO", "msg": "'$n'"}'; done
sleep 0.2
"""
_UNTIL_TOLD = "while [ ! -e {flag} ]; do sleep 0.1; done"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.fixture
def proxy(house: House) -> Iterator[FaultProxy]:
    """Workers made from here on speak to it."""
    with FaultProxy(house.url) as made:
        house.url = made.url
        yield made


def _whole(run: OpRun) -> None:
    """Told once, in order, whatever was lost on the way."""
    assert run.state is RunState.COMPLETED
    assert [event.type for event in ends(run)] == [EventType.COMPLETED]
    assert len(events_of(run, EventType.STARTED)) == 1
    assert run.current_attempt == 1


def _in_order(run: OpRun) -> None:
    _whole(run)
    assert [event.msg for event in events_of(run, EventType.INFO)] == ["1", "2", "3"]


_FAULTS = {
    "500": Reply({"detail": "broken"}, 500),
    "401": Reply({"detail": "who?", "code": "unauthorized"}, 401),
    "429": Reply({"detail": "slowly"}, 429, {"Retry-After": "1"}),
    "html": Reply(b"<html><h1>Welcome to our wifi</h1>", 200, {"Content-Type": "text/html"}),
    "404": Reply(b"<html>nginx</html>", 404, {"Content-Type": "text/html"}),
    "redirect": Reply(None, 302, {"Location": "http://127.0.0.1:9/"}),
    "cut": Reply(b'{"protocol": 1, "run', cut=True),
    "hang-up": Reply(drop=True),
}
EVERY = list(itertools.product(_FAULTS, ("beat", "claim", "event", "all")))
SOME = [*((name, "all") for name in _FAULTS), ("500", "beat"), ("hang-up", "claim"), ("cut", "event")]


@pytest.mark.parametrize("troubles", [SOME, pytest.param(EVERY, marks=pytest.mark.long)], ids=["some", "every"])
def test_each_endpoint_in_trouble(house: House, proxy: FaultProxy, troubles: Sequence[tuple[str, str]]) -> None:
    """For a moment each: process alive, beats at their interval, every run done, told once and in order."""
    image = house.op("quick", "sh", "-c", _QUICK)
    worker = house.worker(4)
    runs = []
    for name, kind in troubles:
        runs.append(house.client.create_run(image, {}))
        kinds = ("beat", "claim", "event", "get", "patch", "delete") if kind == "all" else (kind,)
        seen = len(proxy.requests)
        proxy.faults = dict.fromkeys(kinds, _FAULTS[name])
        ends_at = time.monotonic() + 0.3
        until(lambda seen=seen, at=ends_at: time.monotonic() > at and len(proxy.requests) > seen, "a request")  # type: ignore[misc]
        proxy.faults = {}
        assert worker.alive, worker.words
    for run in runs:
        _in_order(house.ended(run, 60))
    assert proxy.latest_beat_s(HEARTBEAT_S) <= LATE_S
    house.until_free(worker)


def test_first_nobody_then_a_server(house: House) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    image = house.op("quick", "sh", "-c", _QUICK)
    run = house.client.create_run(image, {})
    upstream, house.url = house.url, f"http://127.0.0.1:{port}"
    worker = house.worker(wait=False)
    until(lambda: "connection refused" in worker.words, "the trouble told")
    with FaultProxy(upstream, port):
        _in_order(house.ended(run))
        assert worker.drain() == 0


def _stopped_for(house: House, proxy: FaultProxy, tmp_path: Path, seconds: float) -> None:
    flag = tmp_path / "flag"
    slow = house.op("slow", "sh", "-c", _UNTIL_TOLD.format(flag=flag))
    worker = house.worker(3)
    runs = [house.client.create_run(slow, {}) for _ in range(2)]
    for run in runs:
        house.until_state(run, RunState.RUNNING)
    house.server.process.send_signal(signal.SIGSTOP)
    try:
        flag.touch()
        ends_at = time.monotonic() + seconds
        until(lambda: time.monotonic() > ends_at, "the time over", seconds + 5)
        assert worker.alive, worker.words
    finally:
        house.server.process.send_signal(signal.SIGCONT)
    for run in runs:
        _whole(house.ended(run))
    assert proxy.latest_beat_s(HEARTBEAT_S) <= LATE_S
    house.until_free(worker)


def test_a_server_that_hangs(house: House, proxy: FaultProxy, tmp_path: Path) -> None:
    _stopped_for(house, proxy, tmp_path, 3)


@pytest.mark.long
def test_a_server_that_hangs_for_half_a_minute(house: House, proxy: FaultProxy, tmp_path: Path) -> None:
    _stopped_for(house, proxy, tmp_path, 30)


def test_a_server_killed_and_started_again(house: House, proxy: FaultProxy, tmp_path: Path) -> None:
    """Runs end while nobody is there; after its return all is told."""
    flag = tmp_path / "flag"
    slow = house.op("slow", "sh", "-c", _UNTIL_TOLD.format(flag=flag))
    quick = house.op("quick", "sh", "-c", _QUICK)
    worker = house.worker(2)
    first, second = (house.client.create_run(slow, {}) for _ in range(2))
    waiting = house.client.create_run(quick, {})
    for run in (first, second):
        house.until_state(run, RunState.RUNNING)
    house.server.kill()
    flag.touch()
    until(lambda: worker.words.count("completed") >= 2, "both ended here")
    house.server.close()
    house.server = ServerProcess(tmp_path / "server.db", f', "api_key": "{KEY}", "timings": {{"heartbeat_s": 1.0}}')
    proxy.point_to(house.server.url)
    house.client = GyozaClient(house.server.url, KEY)
    for run in (first, second):
        _whole(house.ended(run))
    _in_order(house.ended(waiting))
    house.until_free(worker)


# Signals, stdout, a second process


def test_a_first_signal_drains(house: House, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    image = house.op("slow", "sh", "-c", _UNTIL_TOLD.format(flag=flag))
    worker = house.worker()
    run = house.client.create_run(image, {})
    house.until_state(run, RunState.RUNNING)
    worker.process.send_signal(signal.SIGINT)
    until(lambda: house.client.get_worker(worker.id).state == "draining", "the server knows")
    late = house.client.create_run(image, {})
    assert worker.alive
    flag.touch()
    assert _code(worker) == 0
    assert house.state(run) is RunState.COMPLETED
    assert house.state(late) is RunState.PENDING
    assert house.client.list_workers() == []


def test_a_third_signal_leaves_and_the_next_start_adopts(house: House, tmp_path: Path) -> None:
    # it ignores SIGTERM, so that the release takes a while
    flag, deaf = tmp_path / "flag", tmp_path / "deaf"
    image = house.op("stubborn", "sh", "-c", f"trap '' TERM; touch {deaf}; " + _UNTIL_TOLD.format(flag=flag))
    worker = house.worker(GYOZA_STOP_GRACE_S="30")
    run = house.client.create_run(image, {})
    house.until_state(run, RunState.RUNNING)
    until(deaf.exists, "the op ignores SIGTERM")
    for words in ("draining", "giving them back", "leaving at once"):
        worker.process.send_signal(signal.SIGTERM)
        if words != "leaving at once":
            until(lambda words=words: words in worker.words, words)  # type: ignore[misc]
    assert _code(worker) == 130
    worker.start(GYOZA_STOP_GRACE_S="0.1")
    until(lambda: f"{run.id} released: the worker was stopped" in worker.words, "the adopted run is given back")
    flag.touch()  # it may have come here again
    house.until_free(worker)


def _code(worker: WorkerProcess) -> int:
    assert worker._process is not None
    return worker._process.wait(30)


@pytest.mark.parametrize(("reader", "count"), [("sleeps", 25), ("gone", 5), ("never there", 5)])
def test_nobody_reads_what_it_prints(house: House, reader: str, count: int) -> None:
    """Where it sleeps, more is printed than the pipe takes."""
    image = house.op("quick", "sh", "-c", _QUICK)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    if reader == "gone":
        os.close(reading)
    model = WorkerProcess(house, "unread", 4, {})
    closing: dict[str, Any] = {"preexec_fn": _close_stdout} if reader == "never there" else {"stdout": writing}
    worker = subprocess.Popen(
        model._argv, env=model.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=house.root, **closing
    )
    try:
        runs = [house.client.create_run(image, {}) for _ in range(count)]
        for run in runs:
            _in_order(house.ended(run))
        worker.send_signal(signal.SIGTERM)
        _, errors = worker.communicate(timeout=20)
        assert (worker.returncode, errors) == (0, b"")
    finally:
        worker.kill()
        worker.wait()
        os.close(writing)
        if reader != "gone":
            os.close(reading)
    assert house.client.list_workers() == []


def _close_stdout() -> None:
    os.close(1)
