"""A server in this process with a clock that only the test turns, and workers as thin as the wire."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select
from starlette.testclient import TestClient

from gyoza_tui.models.states import RunState, allowed
from gyoza_tui.server import rooms, schema
from gyoza_tui.server.app import create_app
from gyoza_tui.server.database import Database
from gyoza_tui.server.shared_state import SharedState, Timings

DEADLINE_S = 15.0
"""Shorter than a claim waits: what answers one early is to be seen."""
SINCE = "2026-03-02T20:00:00Z"


class FakeClock:
    """Stands still until `advance`; the wall clock goes on by a microsecond per look, so that events have an order."""

    def __init__(self) -> None:
        self._boot = 1000.0
        self._looks = itertools.count()
        self._start = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)

    def boot(self) -> float:
        return self._boot

    def utc(self) -> datetime:
        return self._start + timedelta(seconds=self._boot, microseconds=next(self._looks))

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        self._boot += seconds


def until(true: Callable[[], object], what: str) -> None:
    """Wait for `true`; fails after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.002)


class Worker:
    """Beats, claims and reports as its test tells it."""

    def __init__(self, cluster: Cluster, worker_id: str, **beat: Any) -> None:
        self.cluster = cluster
        self.id = worker_id
        self.identity: dict[str, Any] = {"instance_id": f"instance-of-{worker_id}", "epoch": 1}
        self.fields: dict[str, Any] = {"resources": {"cpu_cores": 8, "ram_mb": 8192}} | beat
        self.seqs = itertools.count(1)
        self.listed: list[dict[str, Any]] = []

    def beat(self, code: int = 200, **more: Any) -> Any:
        body = {"worker_id": self.id, "running_ops": self.listed} | self.identity | self.fields | more
        return self.cluster.post("/workers/heartbeat", body, code)

    def claim(self, most: int = 1, code: int = 200, wait_s: float = 0, **more: Any) -> Any:
        body = {"max": most, "wait_s": wait_s, "have": [_held(one) for one in self.listed]} | self.identity | more
        return self.cluster.post(f"/workers/{self.id}/claim", body, code)

    def claim_later(self, most: int = 1, wait_s: float = 20, **more: Any) -> Future[Any]:
        """A claim that is open when this returns, or answered already."""
        claims = self.cluster.shared.claims
        before = len(claims.open(self.id))
        future = self.cluster.threads.submit(self.claim, most, wait_s=wait_s, **more)
        until(lambda: future.done() or len(claims.open(self.id)) > before, "the claim is open")
        return future

    def take(self, most: int = 1) -> list[dict[str, Any]]:
        """Claim, and list what came from the next beat on."""
        runs: list[dict[str, Any]] = self.claim(most)
        self.listed += [{"id": run["id"], "attempt": run["attempt"], "lease": run["lease"]} for run in runs]
        return runs

    def report(self, run: dict[str, Any], kind: str, code: int = 200, **more: Any) -> Any:
        own = {"worker_id": self.id, "attempt": run["attempt"], "lease": run["lease"], "seq": next(self.seqs)}
        return self.cluster.post(f"/runs/{run['id']}/events", {"type": kind} | own | more, code)

    def start(self, run: dict[str, Any]) -> None:
        self.report(run, "STARTED")

    def submit(self, parent: dict[str, Any], code: int = 201, *, of: str = "", **fields: Any) -> dict[str, Any]:
        """A child of a run that it has, ad hoc or of a definition; `of` names the definition."""
        body = {} if of else {"image": "busybox"}
        own = {"run": parent["id"], "attempt": parent["attempt"], "lease": parent["lease"]}
        path = f"/definitions/{of}/runs" if of else "/runs"
        child: dict[str, Any] = self.cluster.post(path, body | {"parent": own} | fields, code)
        return child

    def start_parent(self, **fields: Any) -> dict[str, Any]:
        """A run that is RUNNING here and may submit others."""
        made = self.cluster.submit(**{"may_submit": "any"} | fields)
        run = next(run for run in self.take(9) if run["id"] == made["id"])
        self.start(run)
        return run

    def wait(self, run: dict[str, Any], left: int = 8, of: int = 8) -> Any:
        """The run waits for its children; the answer to the beat that says so."""
        return self.say(run, waiting=waiting(left, of))

    def return_from_wait(self, run: dict[str, Any]) -> Any:
        return self.say(run, waiting=None)

    def say(self, run: dict[str, Any], **fields: Any) -> Any:
        """The answer to a beat with these fields of the run."""
        next(one for one in self.listed if one["id"] == run["id"]).update(fields)
        return self.beat()

    def forget(self, run: dict[str, Any]) -> None:
        self.listed = [one for one in self.listed if one["id"] != run["id"]]

    def give_back(self, run: dict[str, Any], code: int = 200, **more: Any) -> Any:
        own = {"worker_id": self.id, "attempt": run["attempt"], "lease": run["lease"]}
        return self.cluster.patch(run["id"], code, **{"state": "PENDING", "reason": "no room"} | own | more)


def waiting(left: int = 8, of: int = 8) -> dict[str, Any]:
    return {"left": left, "of": of, "since": SINCE}


def _held(one: dict[str, Any]) -> dict[str, Any]:
    return {"id": one["id"], "attempt": one["attempt"]}


class Cluster:
    def __init__(self, client: TestClient, shared: SharedState, timers: Any, clock: FakeClock) -> None:
        self.client = client
        self.shared = shared
        self.clock = clock
        self._timers = timers
        self.threads = ThreadPoolExecutor(16)

    def post(self, path: str, body: Any, code: int = 200) -> Any:
        return _expected(self.client.post(path, json=body), code)

    def get(self, path: str, code: int = 200, **query: Any) -> Any:
        return _expected(self.client.get(path, params=query), code)

    def patch(self, run_id: str, code: int = 200, **change: Any) -> Any:
        return _expected(self.client.patch(f"/runs/{run_id}", json=change), code)

    def submit(self, **fields: Any) -> dict[str, Any]:
        run: dict[str, Any] = self.post("/runs", {"image": "busybox"} | fields, 201)
        return run

    def run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.get(f"/runs/{run_id}")
        return run

    def state(self, run: dict[str, Any]) -> str:
        return str(self.run(run["id"])["state"])

    def worker(self, worker_id: str = "w1", **beat: Any) -> Worker:
        worker = Worker(self, worker_id, **beat)
        worker.beat()
        return worker

    def tick(self) -> None:
        self.shared.database.submit(self._timers.tick).result(DEADLINE_S)
        while self.shared.database.submit(self._timers.pass_on).result(DEADLINE_S):
            pass

    def pass_time(self, seconds: float, *beating: Worker) -> None:
        """In steps of at most 4 s, each with a tick; these workers beat meanwhile."""
        while seconds > 0:
            step = min(4.0, seconds)
            self.clock.advance(step)
            seconds -= step
            for worker in beating:
                worker.beat()
            self.tick()

    def past_failover(self, *beating: Worker) -> None:
        self.pass_time(self.shared.timings.failover_s + 1, *beating)

    def check_histories(self) -> None:
        """Every run's recorded history is a path through the table of transitions."""
        cursor: dict[str, Any] = {}
        while True:
            reply = self.client.get("/runs", params={"limit": 1000} | cursor)
            for run in reply.json():
                check_history(self.run(run["id"]))
            if "X-Next-Cursor" not in reply.headers:
                return
            cursor = {"after": reply.headers["X-Next-Cursor"]}

    def check_rooms(self) -> None:
        """What memory has as free on each worker is what the rows say."""
        with self.shared.database.reading() as connection:
            for known in self.shared.roster.all():
                if known.free is not None and known.free.lasting:
                    fresh = rooms.room_of(self.shared.roster, connection, self.shared.server_time, known)
                    fresh.takes_work, fresh.takes_children = known.free.room.takes_work, known.free.room.takes_children
                    assert known.free.room == fresh

    def check_released(self) -> None:
        """No attempt that its worker has let go waits, or is frozen."""
        left = schema.attempts.c.waiting_since.is_not(None) | schema.attempts.c.frozen_since.is_not(None)
        with self.shared.database.reading() as connection:
            query = select(schema.attempts.c.run_id).where(left, ~schema.attempts.c.held)
            assert connection.execute(query).scalars().all() == []


def check_history(run: dict[str, Any]) -> None:
    events = [event | {"attempt": attempt["attempt"]} for attempt in run["attempts"] for event in attempt["events"]]
    events.sort(key=lambda event: (event["received_at"], event["attempt"], event["id"]))
    state = RunState.PENDING
    for event in events:
        after = RunState(event["state"])
        assert after is state or allowed(state, after), f"{run['id']}: {state} to {after} in {events}"
        state = after
    assert state == run["state"], events
    for attempt in run["attempts"]:
        kinds = [event["type"] for event in attempt["events"]]
        assert kinds.count("COMPLETED") + kinds.count("FAILED") <= 1, kinds


def _expected(reply: httpx.Response, code: int) -> Any:
    assert reply.status_code == code, f"{reply.request.url}: {reply.status_code} {reply.text[:500]}"
    return reply.json() if reply.content else None


@contextmanager
def cluster(path: Path, clock: FakeClock | None = None, *, checked: bool = True, **app: Any) -> Iterator[Cluster]:
    """A server on the database `path`; its histories are checked at the end."""
    clock = clock or FakeClock()
    database = Database.open(str(path))
    application = create_app(database, clock=clock, timings=app.pop("timings", Timings()), ticking=False, **app)
    with TestClient(application, base_url="http://localhost") as client:
        made = Cluster(client, application.state.shared, application.state.timers, clock)
        try:
            yield made
            made.check_rooms()
            made.check_released()
            if checked:
                made.check_histories()
        finally:
            application.state.shared.stop_waiting()
            made.threads.shutdown()
