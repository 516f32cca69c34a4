"""The live registry of runs and what this machine has, by the reference's names and shapes."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from gyoza_tui.models.states import RunState
from gyoza_tui.worker.hardware.resources import GPU, Resources

__all__ = ["GPU", "Resources", "RunningOp", "WorkerContext"]


@dataclass
class RunningOp:
    """A run that this worker executes, with the state that the server last told."""

    id: str
    image: str
    inputs: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, Any] = field(default_factory=dict)
    state: str | None = None


@dataclass
class WorkerContext:
    """What a heartbeat tells: identity, resources, running ops. Its methods may be called from any thread."""

    worker_id: str = ""
    resources: Resources = field(default_factory=Resources)
    tags: list[str] = field(default_factory=list)
    running_ops: list[RunningOp] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()

    def add_running_op(
        self, oprun_id: str, image: str, inputs: dict[str, Any], constraints: dict[str, Any] | None = None
    ) -> None:
        """Add a run; one already there is replaced."""
        op = RunningOp(oprun_id, image, inputs, constraints or {})
        with self._lock:
            self.running_ops = [known for known in self.running_ops if known.id != oprun_id] + [op]

    def remove_running_op(self, oprun_id: str) -> None:
        """Forget a run; an unknown one is no fault."""
        with self._lock:
            self.running_ops = [op for op in self.running_ops if op.id != oprun_id]

    def set_run_state(self, run_id: str, state: str | None) -> None:
        """Remember the server's last word on a run; an unknown run is no fault."""
        with self._lock:
            for op in self.running_ops:
                if op.id == run_id:
                    op.state = state

    def get_run_state(self, run_id: str) -> str | None:
        """The server's last word on a run; None when there was none or the run is unknown."""
        with self._lock:
            return next((op.state for op in self.running_ops if op.id == run_id), None)

    def is_run_cancelled(self, run_id: str) -> bool:
        return self.get_run_state(run_id) == RunState.CANCELLED

    def to_heartbeat_payload(self) -> dict[str, Any]:
        """`worker_id, resources, tags, running_ops` as `GyozaClient.heartbeat` takes them."""
        with self._lock:
            return {
                "worker_id": self.worker_id,
                "resources": asdict(self.resources),
                "tags": list(self.tags),
                "running_ops": [asdict(op) for op in self.running_ops],
            }
