"""The longest that `/health` waits while a server reads, refuses and answers JSON of megabytes: at most 250 ms.

Asked all the time from a process of its own, which measures an idle server in the same run.
"""

from __future__ import annotations

import http.client
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.report import report
from gyoza_tui.models.limits import JSON_BRACKETS_MAX, KIB, MIB
from tests.server.process import server_process

BOUND_MS = 250
READERS = 4
SETTLE_S = 0.5
PAUSE_S = 0.002
RECORD = b'{"epoch":12,"loss":0.123456789,"label":"a cat","ok":true}'
JSON = {"Content-Type": "application/json"}
IDENTITY = {"instance_id": "instance", "epoch": 1}


def ask(url: str, orders: Connection) -> None:
    """The longest answer of `/health` between two orders, in milliseconds; None is the last order."""
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    worst, order = 0.0, True
    orders.send(worst)
    while order:
        began = time.perf_counter()
        client.request("GET", "/health")
        client.getresponse().read()
        worst = max(worst, (time.perf_counter() - began) * 1000)
        if orders.poll(PAUSE_S):
            order = orders.recv()
            orders.send(worst)
            worst = 0.0


@contextmanager
def asked(url: str) -> Iterator[Callable[[Callable[[], object]], float]]:
    """A function that measures the longest answer while another one runs."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=ask, args=(url, theirs), daemon=True)
    process.start()
    ours.recv()

    def during(work: Callable[[], object]) -> float:
        ours.send(True)
        ours.recv()
        work()
        ours.send(True)
        return float(ours.recv())

    yield during
    ours.send(False)
    process.join(10)


def started(client: httpx.Client) -> dict[str, Any]:
    """A run that is RUNNING, as its worker has it."""
    client.post("/runs", json={"image": "busybox", "event_delivery": {"topic": "t"}}).raise_for_status()
    beat = {"worker_id": "w1", "resources": {"cpu_cores": 99, "ram_mb": 9999}, **IDENTITY}
    client.post("/workers/heartbeat", json=beat).raise_for_status()
    (run,) = client.post("/workers/w1/claim", json={"max": 1, "wait_s": 5, "have": [], **IDENTITY}).json()
    send(client, run, b'{"type":"STARTED"', 200)
    found: dict[str, Any] = run
    return found


def send(client: httpx.Client, run: dict[str, Any], begin: bytes, status: int) -> None:
    fence = f',"worker_id":"w1","attempt":{run["attempt"]},"lease":"{run["lease"]}"}}'.encode()
    answer = client.post(f"/runs/{run['id']}/events", content=begin + fence, headers=JSON)
    assert answer.status_code == status, answer.text[:300]


def repeated(item: bytes, size: int) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


def main() -> None:
    outputs = repeated(RECORD, int(6.6 * MIB))
    too_much, brackets = repeated(RECORD, 9 * MIB - KIB), repeated(b"[]", 9 * MIB - KIB)
    lists = repeated(b"[]", 3 * (JSON_BRACKETS_MAX - KIB))
    waits: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="gyoza-bench-") as root,
        server_process(Path(root) / "db") as server,
        httpx.Client(base_url=server.url, timeout=120) as client,
        asked(server.url) as during,
        ThreadPoolExecutor(READERS) as threads,
    ):
        run = started(client)
        path = f"{server.url}/runs/{run['id']}"

        def read(_: int) -> int:
            return len(httpx.get(path, timeout=120).content)

        cases: dict[str, Callable[[], object]] = {
            "idle": lambda: time.sleep(SETTLE_S),
            "refused, 9 MiB": lambda: send(client, run, b'{"type":"COMPLETED","payload":{"a":' + too_much + b"}", 422),
            "refused, brackets": lambda: send(
                client, run, b'{"type":"COMPLETED","payload":{"a":' + brackets + b"}", 422
            ),
            "refused, a million lists": lambda: send(
                client, run, b'{"type":"INFO","payload":{"a":' + lists + b"}", 422
            ),
            "taken, 6.6 MiB": lambda: send(client, run, b'{"type":"COMPLETED","payload":{"a":' + outputs + b"}", 200),
            f"{READERS} GET of it": lambda: list(threads.map(read, range(READERS))),
            "the list": lambda: client.get("/runs"),
            "the feed": lambda: client.get("/topics/t/events"),
        }
        waits = {name: during(work) for name, work in cases.items()}
    idle = waits.pop("idle")
    detail = ", ".join(f"{name} {wait:.0f} ms ({wait / idle:.0f} x idle)" for name, wait in waits.items())
    report("longest /health", f"idle {idle:.1f} ms; {detail}", max(waits.values()), BOUND_MS, at_most=True, unit=" ms")


if __name__ == "__main__":
    main()
