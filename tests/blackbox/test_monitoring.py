"""The installed command as a service: what probes, Prometheus and a service manager hear of it from outside."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.states import RunState
from tests.blackbox.house import House, WorkerProcess
from tests.commands import Started, installed
from tests.metrics import Scrape
from tests.notify_socket import NotifySocket
from tests.servers import KEY
from tests.waiting import until

SHORT_WATCHDOG = {"WATCHDOG_USEC": "400000"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with NotifySocket(tmp_path / "notify") as listening:
        yield listening


def _worker(house: House, *, metrics: bool = False, manager: NotifySocket | None = None) -> WorkerProcess:
    variables = {"GYOZA_METRICS_PORT": "0"} if metrics else {}
    if manager is not None:
        variables |= SHORT_WATCHDOG | {"NOTIFY_SOCKET": manager.name}
    return house.worker(2, wait=True, **variables)


def _url(words: Callable[[], str], of: str = "metrics") -> str:
    """Where a process says that it has them."""
    return until(lambda: re.search(rf"\b{of} at (http://[\w.:/]+)", words()), f"the URL of its {of}")[1]


def _waits_in(place: Path) -> tuple[str, str, str]:
    """A command that makes the file `begun`, and goes on until `go` is there."""
    code = f"import os, time\nos.chdir({str(place)!r})\nopen('begun', 'w')\n"
    return sys.executable, "-c", code + "while not os.path.exists('go'): time.sleep(0.05)"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


def test_a_worker_with_a_run(house: House, tmp_path: Path) -> None:
    image = house.op("wait", *_waits_in(tmp_path))
    worker = _worker(house, metrics=True)
    url = _url(lambda: worker.words)
    run = house.client.create_run(image)
    until((tmp_path / "begun").exists, "it runs")
    until(lambda: Scrape.of(url).get("gyoza_worker_run_seconds", run=run.id, attempt="1", op=image), "its seconds")
    assert Scrape.of(url).one("gyoza_worker_runs", phase="running") == 1
    (tmp_path / "go").touch()
    house.ended(run)
    until(lambda: Scrape.of(url).one("gyoza_worker_ended_runs_total", outcome="completed") == 1, "it is counted")
    until(lambda: Scrape.of(url).labels("gyoza_worker_run_seconds") == [], "its series are gone")


def test_an_outage_of_the_server_restarts_nothing(house: House, manager: NotifySocket) -> None:
    worker = _worker(house, metrics=True, manager=manager)
    health = _url(lambda: worker.words).replace("/metrics", "/health")
    until(lambda: manager.status() == "claiming, 0 of 2 runs, server answers", "its line")
    house.server.process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: "heartbeat" in httpx.get(health).json()["degraded"], "the server is missed")
        assert httpx.get(health).status_code == 200
        fed = manager.count("WATCHDOG=1")
        until(lambda: manager.count("WATCHDOG=1") > fed + 2, "the watchdog is fed all the same")
    finally:
        house.server.process.send_signal(signal.SIGCONT)
    until(lambda: httpx.get(health).json()["status"] == "ok", "all is well")


def test_a_service_from_its_start_to_its_end(house: House, manager: NotifySocket) -> None:
    worker = _worker(house, manager=manager)
    until(lambda: manager.status() == "claiming, 0 of 2 runs, server answers", "its line")
    assert manager.all()[0] == "READY=1"
    until(lambda: manager.count("WATCHDOG=1") > 1, "the watchdog is fed")
    assert worker.drain() == 0
    assert manager.all()[-1] == "STOPPING=1"
    assert (manager.count("READY=1"), manager.count("STOPPING=1")) == (1, 1)


def test_a_run_outlives_its_worker_that_the_watchdog_kills(house: House, manager: NotifySocket, tmp_path: Path) -> None:
    image = house.op("wait", *_waits_in(tmp_path))
    worker = _worker(house, manager=manager)
    run = house.client.create_run(image)
    until((tmp_path / "begun").exists, "it runs")
    until(lambda: "1 of 2 runs" in manager.status(), "the run in its line")
    worker.kill()
    assert manager.count("STOPPING=1") == 0
    worker.start()
    until(lambda: manager.count("READY=1") == 2, "the next start is ready")
    until(lambda: f"{run.id} adopted" in worker.words, "the run is adopted")
    until(lambda: manager.status() == "claiming, 1 of 2 runs, server answers", "its line")
    (tmp_path / "go").touch()
    ended = house.ended(run)
    assert (ended.state, ended.current_attempt) == (RunState.COMPLETED, 1)


def test_a_server(tmp_path: Path, manager: NotifySocket) -> None:
    env = SHORT_WATCHDOG | {"NOTIFY_SOCKET": manager.name, "GYOZA_API_KEY": KEY}
    with Started(tmp_path, "serve", "--port", "0", "--metrics-port", "0", env=env) as serving:
        until(lambda: manager.count("READY=1") == 1, "it is ready")
        with GyozaClient(_url(lambda: serving.said, "server"), KEY) as client:
            client.create_run("op")
        now = Scrape.of(_url(lambda: serving.said))
        assert now.one("gyoza_server_runs", state="PENDING") == 1
        assert now.one("gyoza_server_queued_runs", reason="no_worker") == 1
        assert now.one("gyoza_server_requests_total", method="POST", path="/runs", status="201") == 1
        until(lambda: manager.count("WATCHDOG=1") > 1, "the watchdog is fed")
        assert manager.status().endswith(", 0 workers")
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(20) == 0
        assert manager.all()[-1] == "STOPPING=1"


@pytest.mark.parametrize("verb", ["worker", "serve"])
def test_a_port_in_use(verb: str, tmp_path: Path) -> None:
    with Started(tmp_path, "serve", "--port", "0", "--metrics-port", "0") as first:
        port = str(httpx.URL(_url(lambda: first.said)).port)
        arguments = ("serve", "--port", "0") if verb == "serve" else ("--no-ui",)
        told = installed(tmp_path, *arguments, "--metrics-port", port, env={"GYOZA_DATABASE": str(tmp_path / "2.db")})
    assert told.returncode == 2
    assert f"--metrics-port {port} cannot be listened on: Address already in use" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_port_that_is_none(tmp_path: Path) -> None:
    told = installed(tmp_path, "--no-ui", "--metrics-port", "http")
    assert told.returncode == 2
    assert "--metrics-port: 'http' is no port: write 9100, 0.0.0.0:9100 or [::]:9100" in told.stderr
