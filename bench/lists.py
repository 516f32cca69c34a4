"""First pages of lists among 1,000,000 ended runs, next to the newest runs whatever they are.

The runs are copies of some that a server and its workers made, so that every column is as they write it.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx

from bench.report import Figure, report_all
from tests.server.process import server_process

RUNS: Final = 1_000_000
WORKERS: Final = 5
ORIGINALS: Final = 20
ROUNDS: Final = 15
PAGE: Final = 50
LISTS: Final = {
    "of a state": {"state": "COMPLETED"},
    "of a rare state": {"state": "CANCELLED"},
    "of a worker": {"worker_id": "w3"},
    "of a definition, by filter": {"filter": "op:train@1"},
    "by a filter of state and worker": {"filter": "state:failed worker:w3"},
    "by a text that no run has": {"filter": "nosuchword"},
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="gyoza-bench-") as root:
        path = Path(root) / "server.db"
        with server_process(path) as server, httpx.Client(base_url=server.url, timeout=60) as client:
            for number in range(ORIGINALS):
                _ended_run(client, number)
        _copy(path, runs // ORIGINALS)
        with server_process(path) as server, httpx.Client(base_url=server.url, timeout=60) as client:
            newest = _median_ms(client, {})
            took = {name: _median_ms(client, query) for name, query in LISTS.items()}
    detail = ", ".join(f"{name} {ms:.1f} ms" for name, ms in took.items())
    slowest = max(ms for name, ms in took.items() if "no run has" not in name)
    report_all(
        Figure("slowest list / newest runs", f"{runs} runs; newest {newest:.1f} ms; {detail}", slowest / newest, 5),
        Figure("a filter that finds nothing", f"at most 20,000 runs are compared for a page; {detail}",
               took["by a text that no run has"], 1000, unit=" ms"),
    )  # fmt: skip


def _ended_run(client: httpx.Client, number: int) -> None:
    """One in twenty is cancelled, one in five fails, the others complete; each at one of the workers."""
    definition = {"id": "train", "version": "1", "image": "busybox"}
    client.post("/definitions", json=definition).raise_for_status()
    created = client.post("/definitions/train/runs", json={"inputs": {}})
    created.raise_for_status()
    run_id = created.json()["id"]
    if number == 0:
        client.patch(f"/runs/{run_id}", json={"state": "CANCELLED"}).raise_for_status()
        return
    worker, identity = f"w{number % WORKERS}", {"instance_id": f"i{number % WORKERS}", "epoch": 1}
    beat = {"worker_id": worker, "resources": {"cpu_cores": 99, "ram_mb": 9999}, **identity}
    client.post("/workers/heartbeat", json=beat).raise_for_status()
    claim = {"max": 1, "wait_s": 5, "have": [], "only": [run_id], **identity}
    (run,) = client.post(f"/workers/{worker}/claim", json=claim).json()
    fence = {"worker_id": worker, "attempt": run["attempt"], "lease": run["lease"]}
    ends: dict[str, Any] = {"type": "COMPLETED", "payload": {"loss": 0.1}}
    if number % 5 == 0:
        ends = {"type": "FAILED", "msg": "op_error", "payload": {"exit_code": 1, "reason": "op_error", "message": "no"}}
    for event in ({"type": "STARTED"}, ends):
        client.post(f"/runs/{run_id}/events", json=event | fence).raise_for_status()


def _copy(path: Path, times: int) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        names = [name for _, name, *_ in db.execute("PRAGMA table_info(runs)") if name not in ("seq", "id")]
        columns = ", ".join(names)
        db.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times - 1})"
            f" INSERT INTO runs (id, {columns}) SELECT id || '-' || i, {columns} FROM n, runs"
        )
        names = [name for _, name, *_ in db.execute("PRAGMA table_info(attempts)") if name not in ("run_id", "run_seq")]
        db.execute(
            f"INSERT INTO attempts (run_id, run_seq, {', '.join(names)})"
            f" SELECT runs.id, runs.seq, {', '.join('a.' + name for name in names)} FROM runs"
            f" JOIN attempts AS a ON a.run_id = substr(runs.id, 1, 36) WHERE length(runs.id) > 36"
        )


def _median_ms(client: httpx.Client, query: dict[str, str]) -> float:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get("/runs", params={"limit": PAGE, **query}).raise_for_status()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


if __name__ == "__main__":
    main()
