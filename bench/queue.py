"""The server with 100,000 runs queued in 50 shapes and 1,000 workers, 100 of which claim.

First what one beat and one `POST /runs` cost it in processor time, on one connection, next to a server that has no run
and one worker. Then how long beats and claims take while 1,000 workers beat every five seconds, and 100 of them claim,
run for some seconds, report and claim again: what does not hold the server's processor holds its writer.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from bench.report import Figure, report_all
from tests.server.process import server_process

QUEUED: Final = 100_000
SHAPES: Final = 50
WORKERS: Final = 1_000
CLAIMING: Final = 100
HEARTBEAT_S: Final = 5.0
RUNS_FOR_S: Final = 4.0
MEASURED_S: Final = 20.0
OPERATIONS: Final = 300
_BUSY: Final = 50
"""Workers at once that register."""


class Connection:
    """HTTP over one connection, as little of it as costs the measuring machine nothing."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> Any:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
        )
        writer.write(f"{head}\r\n\r\n".encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
        text = await reader.readexactly(length)
        assert answer.split()[1] in ("200", "201"), text
        return json.loads(text)


class Cost(NamedTuple):
    """Milliseconds of the server's processor time."""

    beat: float
    post: float


class Latency(NamedTuple):
    """Milliseconds."""

    beats: list[float]
    claims: list[float]


def main() -> None:
    queued = int(sys.argv[1]) if len(sys.argv) > 1 else QUEUED
    with tempfile.TemporaryDirectory(prefix="gyoza-bench-") as root:
        with _server(Path(root) / "empty.db") as (url, process):
            empty = asyncio.run(_costs(url, process, workers=1, claiming=0))
        _fill(Path(root) / "full.db", queued)
        with _server(Path(root) / "full.db") as (url, process):
            full = asyncio.run(_costs(url, process, workers=WORKERS, claiming=CLAIMING))
        with _server(Path(root) / "full.db") as (url, _):
            latency = asyncio.run(_latency(url))
    beats_p99 = statistics.quantiles(latency.beats, n=100)[98]
    claims_p50 = statistics.median(latency.claims)
    given = f"{len(latency.claims)} claims and {len(latency.beats)} beats in {MEASURED_S:g} s"
    report_all(
        Figure("beat / of an empty server", _words(full.beat, empty.beat), full.beat / empty.beat, 1.5),
        Figure("POST / of an empty server", _words(full.post, empty.post), full.post / empty.post, 2.0),
        Figure("beats, p99", given, beats_p99, 1000, unit=" ms"),
        Figure("claims, p50", given, claims_p50, 100, unit=" ms"),
    )


def _words(full: float, empty: float) -> str:
    return f"{full:.2f} ms with {WORKERS} workers and the queue, {empty:.2f} ms without"


@contextmanager
def _server(path: Path) -> Iterator[tuple[str, psutil.Process]]:
    with server_process(path) as server:
        yield server.url, psutil.Process(server.process.pid)


async def _costs(url: str, process: psutil.Process, workers: int, claiming: int) -> Cost:
    """With `claiming` open claims of workers that have no room for what waits."""
    await _register(url, range(workers), cpu=0)
    claims = [asyncio.create_task(_claim(Connection(url), number, wait_s=30)) for number in range(claiming)]
    connection = Connection(url)
    await asyncio.sleep(2)

    async def each(path: str, bodies: list[Any]) -> float:
        before = sum(process.cpu_times()[:2])
        for body in bodies:
            await connection.post(path, body)
        return (sum(process.cpu_times()[:2]) - before) / len(bodies) * 1000

    beat = await each("/workers/heartbeat", [_beat(0, cpu=0)] * OPERATIONS)
    post = await each("/runs", [_run(number) for number in range(OPERATIONS)])
    for claim in claims:
        claim.cancel()
    return Cost(beat, post)


async def _latency(url: str) -> Latency:
    await _register(url, range(WORKERS), cpu=8)
    found = Latency([], [])
    began = time.monotonic()
    await asyncio.gather(
        *(_beating(url, number, began + MEASURED_S, found.beats) for number in range(WORKERS)),
        *(_working(url, number, began + MEASURED_S, found.claims) for number in range(CLAIMING)),
    )
    return found


async def _beating(url: str, number: int, until: float, took: list[float]) -> None:
    connection = Connection(url)
    await asyncio.sleep(random.uniform(0, HEARTBEAT_S))
    while (began := time.monotonic()) < until:
        await connection.post("/workers/heartbeat", _beat(number, cpu=8))
        took.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(max(0.0, began + HEARTBEAT_S - time.monotonic()))


async def _working(url: str, number: int, until: float, took: list[float]) -> None:
    connection = Connection(url)
    await asyncio.sleep(random.uniform(0, RUNS_FOR_S))
    while (began := time.monotonic()) < until:
        for run in await _claim(connection, number, wait_s=10):
            took.append((time.monotonic() - began) * 1000)
            own = {"worker_id": f"w{number}", "attempt": run["attempt"], "lease": run["lease"]}
            await connection.post(f"/runs/{run['id']}/events", {"type": "STARTED", "seq": 1} | own)
            await asyncio.sleep(RUNS_FOR_S)
            await connection.post(f"/runs/{run['id']}/events", {"type": "COMPLETED", "seq": 2, "payload": {}} | own)


async def _claim(connection: Connection, number: int, wait_s: float) -> list[dict[str, Any]]:
    body = {"max": 1, "wait_s": wait_s} | _identity(number)
    runs: list[dict[str, Any]] = await connection.post(f"/workers/w{number}/claim", body)
    return runs


async def _register(url: str, numbers: range, cpu: int) -> None:
    connections = [Connection(url) for _ in range(_BUSY)]

    async def some(first: int) -> None:
        for number in numbers[first::_BUSY]:
            await connections[first].post("/workers/heartbeat", _beat(number, cpu))

    await asyncio.gather(*map(some, range(_BUSY)))


def _identity(number: int) -> dict[str, Any]:
    return {"instance_id": f"instance-{number}", "epoch": 1}


def _beat(number: int, cpu: int) -> dict[str, Any]:
    """Of a worker that does not list its runs: what it has claimed here lasts longer than its next beat."""
    resources = {"cpu_cores": cpu, "ram_mb": 64_000, "gpus": [{"id": 0, "vram_mb": 24_000}]}
    return {"worker_id": f"w{number}", "resources": resources, "max_runs": 8} | _identity(number)


def _run(number: int) -> dict[str, Any]:
    shape = number % SHAPES
    constraints = {"cpu": 1 + shape % 5, "ram_mb": 1000 + 100 * (shape // 5)}
    return {"image": "train:1", "inputs": {"n": number}, "constraints": constraints}


def _fill(path: Path, queued: int) -> None:
    """One run of each shape, as the server writes it, and copies of these."""

    async def one_of_each(url: str) -> None:
        connection = Connection(url)
        for number in range(SHAPES):
            await connection.post("/runs", _run(number))

    with _server(path) as (url, _):
        asyncio.run(one_of_each(url))
    with closing(sqlite3.connect(path)) as db, db:
        for table, own in (("runs", {"seq", "id"}), ("attempts", {"run_id", "run_seq"})):
            names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})") if name not in own]
            columns = ", ".join(names)
            copies = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {queued // SHAPES - 1})"
            if table == "runs":
                db.execute(f"{copies} INSERT INTO runs (id, {columns}) SELECT id || '-' || i, {columns} FROM n, runs")
            else:
                db.execute(
                    f"INSERT INTO attempts (run_id, run_seq, {columns})"
                    f" SELECT runs.id, runs.seq, {', '.join('a.' + name for name in names)} FROM runs"
                    f" JOIN attempts AS a ON a.run_id = substr(runs.id, 1, 36) WHERE length(runs.id) > 36"
                )


if __name__ == "__main__":
    main()
