"""A server with our paths and nothing else of ours, and a worker that sends nothing but the reference's fields."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gyoza_tui.backends.base import DiskFull
from gyoza_tui.models.states import RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.runner import Worker
from tests.histories import check_histories
from tests.scripted_server import Reply, Request, ScriptedServer
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend, FakeOp

_HEARTBEAT_S = 0.3
_MOVES = {
    ("ASSIGNED", "STARTED"): "RUNNING",
    ("RUNNING", "COMPLETED"): "COMPLETED",
    ("RUNNING", "FAILED"): "FAILED",
    ("RUNNING", "CANCELLED"): "CANCELLED",
}


class MinimalServer:
    """No leases, no reply fields, no codes, no `X-Server-Id`; a claim is answered at once, again and again."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.accepts: Reply | None = None
        """The answer to an event; None: the run."""
        self._lock = threading.Lock()
        self.http = ScriptedServer(
            beat=Reply({"thanks": "for the beat"}),
            claim=self._claim,
            event=self._event,
            get=self._get,
            patch=self._patch,
            delete=Reply({"detail": "Not Found"}, 404),
        )

    def submit(self, run_id: str, image: str) -> None:
        with self._lock:
            self.runs[run_id] = {
                "id": run_id,
                "image": image,
                "state": "PENDING",
                "inputs": {},
                "outputs": {},
                "current_attempt": 1,
                "events": [],
                "color": "unknown to us",
            }

    def cancel(self, run_id: str) -> None:
        with self._lock:
            self.runs[run_id]["state"] = "CANCELLED"

    def state(self, run_id: str) -> str:
        with self._lock:
            return str(self.runs[run_id]["state"])

    def told(self, run_id: str) -> list[str]:
        with self._lock:
            return [event["type"] for event in self.runs[run_id]["events"]]

    def _claim(self, request: Request) -> Reply:
        with self._lock:
            for run in self.runs.values():
                if run["state"] == "PENDING":
                    run |= {"state": "ASSIGNED", "worker_id": request.path.split("/")[2]}
            return Reply([run for run in self.runs.values() if run["state"] in ("ASSIGNED", "RUNNING")])

    def _event(self, request: Request) -> Reply:
        if isinstance(request.body, list):
            return Reply({"detail": "a list?"}, 422)
        with self._lock:
            run, event = self.runs[request.path.split("/")[2]], request.body
            if event["type"] not in ("INFO", "PROGRESS", "ERROR"):
                target = _MOVES.get((run["state"], event["type"]))
                if target is None:
                    return Reply({"detail": f"{run['state']} and {event['type']}?"}, 400)
                run["state"] = target
                run["outputs"] = event.get("payload") or {}
            run["events"].append({"type": event["type"]})
            return self.accepts or Reply(run)

    def _get(self, request: Request) -> Reply:
        with self._lock:
            run = self.runs.get(request.path.split("/")[2])
            return Reply({"detail": "Not Found"}, 404) if run is None else Reply(run | {"events": []})

    def _patch(self, request: Request) -> Reply:
        with self._lock:
            run = self.runs[request.path.split("/")[2]]
            run |= {"state": request.body["state"], "worker_id": None}
            return Reply(run)


@pytest.fixture
def minimal() -> Iterator[MinimalServer]:
    server = MinimalServer()
    with server.http:
        yield server


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def worker(minimal: MinimalServer, backend: FakeBackend, tmp_path: Path) -> Iterator[Worker]:
    settings = Settings(
        server_url=minimal.http.url,
        worker_id="w1",
        state_dir=tmp_path / "state",
        heartbeat_s=_HEARTBEAT_S,
        pull_policy="never",
        min_free_mb=0,
        stop_grace_s=1,
    )
    backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    made = Worker(settings, backends={"docker": backend})
    made.begin()
    yield made
    made.close()


def _closed(worker: Worker) -> None:
    until(lambda: not worker.parts.journal.rows(), "every row closed")


def test_a_run_completes(minimal: MinimalServer, worker: Worker, backend: FakeBackend) -> None:
    backend.known["op"] = FakeOp(
        stdout=b'{"type": "PROGRESS", "msg": 50}\n', files={"output.json": b'{"label": "cat"}'}
    )
    minimal.submit("r1", "op")
    until(lambda: minimal.state("r1") == "COMPLETED", "COMPLETED")
    assert minimal.told("r1") == ["STARTED", "PROGRESS", "COMPLETED"]
    assert minimal.runs["r1"]["outputs"] == {"label": "cat"}
    _closed(worker)
    assert len(backend.started) == 1


@pytest.mark.parametrize("accepts", [Reply({"ok": True}), Reply(None, 201)])
def test_each_event_goes_out_once_whatever_its_answer_is(
    minimal: MinimalServer, worker: Worker, backend: FakeBackend, accepts: Reply
) -> None:
    minimal.accepts = accepts
    backend.known["op"] = FakeOp(stdout=b'{"type": "INFO", "msg": "a"}\n')
    minimal.submit("r1", "op")
    until(lambda: minimal.state("r1") == "COMPLETED", "COMPLETED")
    _closed(worker)
    assert [kind for kind, _ in minimal.http.events()] == ["STARTED", "INFO", "COMPLETED"]


def test_a_run_fails(minimal: MinimalServer, worker: Worker, backend: FakeBackend) -> None:
    backend.known["op"] = FakeOp(code=3)
    minimal.submit("r1", "op")
    until(lambda: minimal.state("r1") == "FAILED", "FAILED")
    assert minimal.told("r1") == ["STARTED", "FAILED"]
    assert minimal.runs["r1"]["outputs"]["exit_code"] == 3
    _closed(worker)


def test_a_run_that_fails_before_it_started(minimal: MinimalServer, worker: Worker, backend: FakeBackend) -> None:
    """ASSIGNED → FAILED is refused there: STARTED goes first."""

    def broken(image: str) -> str:
        raise DiskFull("no room for the image")

    backend.image_id = broken  # type: ignore[method-assign]
    minimal.submit("r1", "op")
    until(lambda: minimal.state("r1") == "FAILED", "FAILED")
    assert minimal.told("r1") == ["STARTED", "FAILED"]
    _closed(worker)
    assert backend.created == []


def test_a_cancel_is_seen_by_get(minimal: MinimalServer, worker: Worker, backend: FakeBackend) -> None:
    backend.known["op"] = FakeOp(ends_at_once=False)
    minimal.submit("r1", "op")
    until(lambda: backend.started, "the start")
    minimal.cancel("r1")
    until(lambda: backend.removed, "the container gone")
    _closed(worker)
    assert minimal.state("r1") == "CANCELLED"


def test_the_claims_do_not_spin(minimal: MinimalServer, worker: Worker, backend: FakeBackend) -> None:
    """With nothing to do, and with a run that every answer repeats."""
    backend.known["op"] = FakeOp(ends_at_once=False)
    for busy in (False, True):
        if busy:
            minimal.submit("r1", "op")
        until(lambda: len(minimal.http.of("claim")) > 1, "claims")
        before, began = len(minimal.http.of("claim")), time.monotonic()
        until(lambda at=began: time.monotonic() > at + 1.5, "a while")  # type: ignore[misc]
        assert len(minimal.http.of("claim")) - before <= 3 * (time.monotonic() - began) / _HEARTBEAT_S
    assert len(backend.started) == 1
    backend.known["op"].go.set()
    until(lambda: minimal.state("r1") == "COMPLETED", "COMPLETED")


def test_events_go_one_by_one_and_beats_carry_the_references_fields(
    minimal: MinimalServer, worker: Worker, backend: FakeBackend
) -> None:
    backend.known["op"] = FakeOp(stdout=b'{"type": "INFO", "msg": "a"}\n{"type": "INFO", "msg": "b"}\n')
    minimal.submit("r1", "op")
    until(lambda: minimal.state("r1") == "COMPLETED", "COMPLETED")
    assert minimal.told("r1") == ["STARTED", "INFO", "INFO", "COMPLETED"]
    assert not any(isinstance(request.body, list) for request in minimal.http.of("event"))
    beat = minimal.http.of("beat")[-1].body
    assert {"worker_id", "resources", "tags", "running_ops"} <= beat.keys()
    assert set(beat["resources"]) == {"cpu_cores", "ram_mb", "gpus"}


# A minimal worker at our server


class MinimalWorker:
    """Four fields in a beat; claims; events without lease and seq."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"X-API-Key": KEY}, timeout=20)

    def beat(self, *running: dict[str, Any]) -> httpx.Response:
        resources = {"cpu_cores": 4, "ram_mb": 8000, "gpus": []}
        payload = {"worker_id": "mini", "resources": resources, "tags": [], "running_ops": list(running)}
        return self.http.post("/workers/heartbeat", json=payload)

    def claim(self) -> list[dict[str, Any]]:
        reply = self.http.post("/workers/mini/claim", json={})
        assert reply.status_code == 200, reply.text
        return list(reply.json())

    def tell(self, run_id: str, kind: str, payload: dict[str, Any] | None = None) -> httpx.Response:
        return self.http.post(f"/runs/{run_id}/events", json={"type": kind, "msg": "", "payload": payload})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path / "server.db") as running:
        yield running
        check_histories(running.client)


@pytest.mark.parametrize(
    ("kind", "payload", "state"),
    [
        ("COMPLETED", {"label": "cat"}, RunState.COMPLETED),
        ("FAILED", {"exit_code": 1}, RunState.FAILED),
        ("CANCELLED", None, RunState.CANCELLED),
    ],
)
def test_a_minimal_worker_brings_a_run_to_its_end(
    server: ServerThread, kind: str, payload: dict[str, Any] | None, state: RunState
) -> None:
    worker = MinimalWorker(server.url)
    assert worker.beat().status_code == 200
    run = server.client.create_run("op", {"a": 1})
    (claimed,) = until(worker.claim, "the run")
    assert (claimed["id"], claimed["inputs"], claimed["state"]) == (run.id, {"a": 1}, "ASSIGNED")
    assert worker.tell(run.id, "STARTED").status_code == 200
    assert worker.beat({"id": run.id, "image": "op", "inputs": {"a": 1}, "constraints": {}}).status_code == 200
    assert server.client.get_run(run.id).state is RunState.RUNNING
    assert worker.tell(run.id, kind, payload).status_code == 200
    ended = server.client.get_run(run.id)
    assert ended.state is state
    assert ended.outputs == (payload if kind == "COMPLETED" else {})
    assert worker.tell(run.id, "COMPLETED", {}).status_code in (400, 409)


def test_a_minimal_worker_sees_a_cancel_by_get(server: ServerThread) -> None:
    worker = MinimalWorker(server.url)
    worker.beat()
    run = server.client.create_run("op", {})
    until(worker.claim, "the run")
    worker.tell(run.id, "STARTED")
    server.client.update_run(run.id, state=RunState.CANCELLED)
    assert worker.http.get(f"/runs/{run.id}").json()["state"] == "CANCELLED"
    assert worker.tell(run.id, "COMPLETED", {}).status_code in (400, 409)
    assert server.client.get_run(run.id).state is RunState.CANCELLED
