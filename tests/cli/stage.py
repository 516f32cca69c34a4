"""Runs in every state at a real server, by a worker that only says so."""

from __future__ import annotations

from typing import Any

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import ClaimRequest
from tests.waiting import until

FAULT = {"reason": "op_error", "exit_code": 3, "message": "no good", "log_tail": "before\nthe last line\x1b[2J"}


class Actor:
    """A worker of that name, with room for everything; it takes only the run that it is told to."""

    def __init__(self, client: GyozaClient, name: str = "actor", **beat: Any) -> None:
        self.client = client
        self.name = name
        client.heartbeat(worker_id=name, resources={"cpu_cores": 64, "ram_mb": 65536}, **beat)

    def take(self, run_id: str, **spec: Any) -> OpRun:
        """A new run of that id, ASSIGNED."""
        self.client.create_run(spec.pop("image", "busybox"), id=run_id, **spec)
        return self.claim(run_id)

    def claim(self, run_id: str) -> OpRun:
        request = ClaimRequest(max=1, wait_s=5, only=[run_id])
        (run, *_) = until(lambda: self.client.claim(self.name, request).runs, f"{run_id} is handed out")
        return run

    def say(self, run: OpRun, kind: str, msg: str | float | None = None, payload: dict[str, Any] | None = None) -> None:
        fence: dict[str, Any] = {"worker_id": self.name, "attempt": run.attempt, "lease": run.lease}
        self.client.add_event(run.id, kind, msg, payload, **fence)

    def start(self, run_id: str, **spec: Any) -> OpRun:
        run = self.take(run_id, **spec)
        self.say(run, "STARTED")
        return run

    def complete(self, run_id: str, outputs: dict[str, Any] | None = None, **spec: Any) -> None:
        self.say(self.start(run_id, **spec), "COMPLETED", None, outputs or {})

    def fail(self, run_id: str, **spec: Any) -> None:
        self.say(self.start(run_id, **spec), "FAILED", "no good", FAULT)
