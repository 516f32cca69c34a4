"""A real server process: killed, stopped, refused, and asked by many at once."""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
import pytest

from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.launch import ServerOptions, options_from_environment, serve, start
from tests.server.cluster import check_history, until
from tests.server.process import ServerProcess, server_process

IDENTITY = {"instance_id": "instance", "epoch": 1}


def beat(http: httpx.Client, **fields: Any) -> None:
    body = {"worker_id": "w1", "resources": {"cpu_cores": 99, "ram_mb": 9999}} | IDENTITY | fields
    http.post("/workers/heartbeat", json=body).raise_for_status()


def claim(http: httpx.Client, most: int, wait_s: float) -> list[dict[str, Any]]:
    body = {"max": most, "wait_s": wait_s, "have": []} | IDENTITY
    reply = http.post("/workers/w1/claim", json=body, timeout=30)
    reply.raise_for_status()
    runs: list[dict[str, Any]] = reply.json()
    return runs


def report(http: httpx.Client, run: dict[str, Any], kind: str, **more: Any) -> None:
    own = {"type": kind, "attempt": run["attempt"], "lease": run["lease"], "worker_id": "w1"}
    http.post(f"/runs/{run['id']}/events", json=own | more).raise_for_status()


def established(pid: int) -> int:
    return sum(each.status == psutil.CONN_ESTABLISHED for each in psutil.Process(pid).net_connections())


def test_sigterm_answers_every_long_poll_and_ends(tmp_path: Path) -> None:
    with server_process(tmp_path / "db") as server, httpx.Client(base_url=server.url) as http:
        beat(http)
        with ThreadPoolExecutor(4) as threads:
            claims = [threads.submit(claim, http, 1, 25) for _ in range(3)]
            feed = threads.submit(httpx.get, f"{server.url}/topics/t/events", params={"wait_s": 25}, timeout=30)
            until(lambda: established(server.process.pid) >= 4, "all are connected")
            # no way to see from outside that a poll is open: one that comes later is answered at once too
            http.get("/workers").raise_for_status()
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(15) == 0
            assert [one.result(15) for one in claims] == [[], [], []]
            assert feed.result(15).json() == []


def test_a_worker_that_knows_whole_cores_only_meets_no_others(tmp_path: Path) -> None:
    """It reads integers, gets no part of a core, and gets one from the beat on that says it knows them."""
    with server_process(tmp_path / "db") as server, httpx.Client(base_url=server.url) as http:
        beat(http)
        for name, cpu in (("part", "0.5"), ("whole", "2.0")):
            body = f'{{"image": "busybox", "id": "{name}", "constraints": {{"cpu": {cpu}}}}}'
            made = http.post("/runs", content=body, headers={"Content-Type": "application/json"})
            assert f'"cpu":{cpu.removesuffix(".0")},' in made.raise_for_status().text
        wanted: dict[str, Any] = {"max": 9, "wait_s": 0} | IDENTITY
        reply = http.post("/workers/w1/claim", json=wanted)
        assert [run["id"] for run in reply.json()] == ["whole"]
        assert '"cpu":2,' in reply.text
        wanted["have"] = [{"id": "whole", "attempt": 1}]
        assert '"cpu_cores":97,' in http.get("/workers/w1").text
        beat(http, features=["fractional_cpu"])
        beat(http)
        assert http.post("/workers/w1/claim", json=wanted).json() == []
        beat(http, features=["fractional_cpu"])
        (run,) = http.post("/workers/w1/claim", json=wanted).json()
        assert (run["id"], run["constraints"]["cpu"]) == ("part", 0.5)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    with server_process(tmp_path / "db") as server:
        server.hang_up()
        assert server.process.wait(15) == 0


def test_a_hung_up_claim_gets_nothing(tmp_path: Path) -> None:
    with server_process(tmp_path / "db") as server, httpx.Client(base_url=server.url) as http:
        beat(http)
        with pytest.raises(httpx.ReadTimeout):
            http.post("/workers/w1/claim", json={"max": 1, "wait_s": 20, "have": []} | IDENTITY, timeout=0.3)
        run = http.post("/runs", json={"image": "busybox"}).json()
        assert run["state"] == "PENDING"
        [got] = claim(http, 1, 5)
        assert got["id"] == run["id"]


def test_200_clients_create_at_once_and_none_is_refused(tmp_path: Path) -> None:
    with server_process(tmp_path / "db") as server:
        gate = threading.Barrier(200)

        def create(n: int) -> int:
            gate.wait(30)
            reply = httpx.post(f"{server.url}/runs", json={"id": f"run-{n}", "image": "busybox"}, timeout=30)
            return reply.status_code

        with ThreadPoolExecutor(200) as threads:
            assert set(threads.map(create, range(200))) == {201}
        assert len(httpx.get(f"{server.url}/runs", params={"limit": 1000}).json()) == 200


def test_an_idle_claim_is_answered_quickly(tmp_path: Path) -> None:
    with server_process(tmp_path / "db") as server, httpx.Client(base_url=server.url) as http:
        beat(http)
        took, pings = [], []
        with ThreadPoolExecutor(1) as threads:
            for _ in range(40):
                waiting = threads.submit(lambda: (claim(http, 1, 20), time.perf_counter()))
                began = time.perf_counter()
                http.get("/health")
                pings.append(time.perf_counter() - began)
                created = http.post("/runs", json={"image": "busybox"})
                posted = time.perf_counter()
                [run], answered = waiting.result(30)
                assert run["id"] == created.json()["id"]
                took.append(answered - posted)
                report(http, run, "STARTED")
                report(http, run, "COMPLETED")
        # the target is 5 ms on an idle machine; on one that others use too, compared with what it takes there anyway
        assert median(took) < max(0.02, 5 * median(pings))


class Writer:
    """Makes runs and takes them through their life, and remembers only what the server has acknowledged."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.acknowledged: dict[str, str] = {}
        self.changes = 0

    def write(self, url: str, stop: threading.Event) -> None:
        with httpx.Client(base_url=url, timeout=30) as http:
            try:
                while not stop.is_set():
                    self._one(http)
            except (httpx.TransportError, httpx.HTTPStatusError):
                return

    def _one(self, http: httpx.Client) -> None:
        run_id = str(uuid.uuid4())
        http.post("/runs", json={"id": run_id, "image": "busybox"}).raise_for_status()
        self._noted(run_id, "PENDING")
        if self.random.random() < 0.3:
            http.patch(f"/runs/{run_id}", json={"state": "CANCELLED"}).raise_for_status()
            self._noted(run_id, "CANCELLED")
            return
        reply = http.post("/workers/w1/claim", json={"max": 1, "wait_s": 0, "only": [run_id]} | IDENTITY)
        reply.raise_for_status()
        for run in reply.json():
            self._noted(run_id, "ASSIGNED")
            report(http, run, "STARTED", seq=1)
            self._noted(run_id, "RUNNING")
            report(http, run, "COMPLETED", seq=2, payload={"of": run_id})
            self._noted(run_id, "COMPLETED")

    def _noted(self, run_id: str, state: str) -> None:
        self.acknowledged[run_id] = state
        self.changes += 1


_ORDER = ["PENDING", "ASSIGNED", "RUNNING", "COMPLETED"]


def _at_least(state: str, acknowledged: str) -> bool:
    if "CANCELLED" in (state, acknowledged):
        return state == "CANCELLED" or acknowledged != "CANCELLED"
    return _ORDER.index(state) >= _ORDER.index(acknowledged)


def kill_again_and_again(database: Path, *, kills: int, changes: int, writers: int = 4) -> None:
    everybody = [Writer(seed) for seed in range(writers)]
    done = 0
    while done < kills or sum(writer.changes for writer in everybody) < changes:
        server = ServerProcess(database)
        try:
            with httpx.Client(base_url=server.url) as http:
                beat(http)
            stop = threading.Event()
            threads = [threading.Thread(target=one.write, args=(server.url, stop)) for one in everybody]
            for thread in threads:
                thread.start()
            enough = sum(one.changes for one in everybody) + random.randint(20, max(21, 2 * changes // kills))
            until(lambda enough=enough: sum(one.changes for one in everybody) >= enough, "changes")  # type: ignore[misc]
            server.kill()
            stop.set()
            for thread in threads:
                thread.join(30)
        finally:
            server.close()
        done += 1
    _all_there(database, everybody)


def _all_there(database: Path, everybody: list[Writer]) -> None:
    with server_process(database) as server, httpx.Client(base_url=server.url) as http:
        for writer in everybody:
            for run_id, acknowledged in writer.acknowledged.items():
                run = http.get(f"/runs/{run_id}").json()
                assert _at_least(run["state"], acknowledged), (run["state"], acknowledged)
                check_history(run)
                if run["state"] == "COMPLETED":
                    assert run["outputs"] == {"of": run_id}
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_5_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "db", kills=5, changes=250)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_50_kills_lose_nothing_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "db", kills=50, changes=5000)


def test_nobody_else_can_read_what_the_server_writes(tmp_path: Path) -> None:
    database = tmp_path / "db"
    with server_process(database) as server, httpx.Client(base_url=server.url) as http:
        http.get("/runs")
        modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.glob("db*") if file.stat().st_size > 100}
    assert modes == {"db": 0, "db-wal": 0, "db-shm": 0}


def test_a_second_server_on_the_database_is_refused_with_the_firsts_pid(tmp_path: Path) -> None:
    with server_process(tmp_path / "db") as first, server_process(tmp_path / "db") as second:
        assert second.process.wait(20) == 2
        words = second.words()
        assert f"pid {first.process.pid}" in words
        assert "Traceback" not in words


def test_a_key_is_asked_for_everywhere_but_at_health(tmp_path: Path) -> None:
    with server_process(tmp_path / "db", ', "api_key": "s3cret"') as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
        for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}):
            reply = httpx.get(f"{server.url}/runs", headers=headers)
            assert (reply.status_code, reply.json()["code"]) == (401, "unauthorized")
        assert httpx.get(f"{server.url}/runs", headers={"X-API-Key": "s3cret"}).status_code == 200


def refusal(**options: Any) -> str:
    with pytest.raises(ServerError) as caught:
        serve(ServerOptions(**options))
    return str(caught.value)


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    database = str(tmp_path / "db")
    assert "GYOZA_API_KEY" in refusal(host="0.0.0.0", database=database, port=0)
    assert "not an address" in refusal(host="no such host", api_key="k", database=database)
    assert "not a port" in refusal(port=70000, database=database)
    assert "log level" in refusal(port=0, log_level="loud", database=database)
    assert "printable" in refusal(port=0, api_key="k\n", database=database)
    assert "SQLite" in refusal(port=0, database="postgresql://localhost/x")
    assert "not a database URL" in refusal(port=0, database="://")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refusal(port=taken.getsockname()[1], database=database)
    assert not Path(database).exists(), "nothing half done"
    (tmp_path / "broken").write_bytes(b"not a database" * 100)
    assert "cannot be used" in refusal(port=0, database=str(tmp_path / "broken"))
    assert "cannot be used" in refusal(port=0, database="/proc/nowhere/db")
    with sqlite3.connect(tmp_path / "newer") as connection:
        connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
        connection.execute("INSERT INTO meta VALUES ('schema_version', '99'), ('server_id', 'x')")
    assert "newer gyoza-tui" in refusal(port=0, database=f"sqlite:///{tmp_path / 'newer'}")


def test_explicit_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    for name, value in {
        "GYOZA_SERVER_HOST": "::1",
        "GYOZA_SERVER_PORT": "6000",
        "GYOZA_DATABASE": "sqlite:////tmp/x.db",
        "GYOZA_API_KEY": "from-variable",
        "GYOZA_API_KEY_FILE": str(tmp_path / "key"),
        "GYOZA_SERVER_LOG_LEVEL": "INFO",
    }.items():
        monkeypatch.setenv(name, value)
    found = options_from_environment()
    assert (found.host, found.port, found.database) == ("::1", 6000, "sqlite:////tmp/x.db")
    assert (found.api_key, found.log_level) == ("from-file", "info")
    assert "from-file" not in repr(found)
    monkeypatch.delenv("GYOZA_API_KEY_FILE")
    assert options_from_environment().api_key == "from-variable"
    assert options_from_environment(port=0, host="localhost").host == "localhost"
    monkeypatch.setenv("GYOZA_SERVER_PORT", "many")
    with pytest.raises(ServerError, match="GYOZA_SERVER_PORT"):
        options_from_environment()
    monkeypatch.setenv("GYOZA_SERVER_PORT", "6000")
    monkeypatch.setenv("GYOZA_WORK_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(ServerError, match=r"GYOZA_WORK_KEY_FILE: the key file .*none cannot be read: No such file"):
        options_from_environment()
    with pytest.raises(ServerError, match="one process"):
        start(workers=4)


@pytest.mark.parametrize("named", ["~/state", "state"])
def test_start_keeps_its_key_where_clients_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str) -> None:
    made: list[ServerOptions] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GYOZA_STATE_DIR", named)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gyoza_tui.server.launch.serve", made.append)
    start(port=0)
    (options,) = made
    assert options.own_files is not None
    assert options.own_files.key == tmp_path / "state" / "serve" / "key"
    assert options.database == str(tmp_path / "state" / "server.db")


def test_importing_the_server_loads_no_web_framework() -> None:
    program = (
        "import sys, gyoza_tui.server; assert callable(gyoza_tui.server.start); "
        "print([name for name in ('fastapi', 'uvicorn', 'sqlalchemy') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()
        == "[]"
    )
