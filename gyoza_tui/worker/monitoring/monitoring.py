"""What machines may know of a worker: metrics and `/health` on a port, and the line for a service manager."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from gyoza_tui.models.listen_address import ListenAddress
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.intake import Intake
from gyoza_tui.worker.monitoring.durations import Durations
from gyoza_tui.worker.monitoring.vital_signs import VitalSigns
from gyoza_tui.worker.view.control import WorkerControl
from gyoza_tui.worker.view.snapshot import Snapshot

if TYPE_CHECKING:
    from gyoza_tui.metrics_endpoint import MetricsEndpoint, Page

HEALTH: Final = "/health"


class Monitoring:
    """Asks the worker only when it is asked itself."""

    def __init__(
        self,
        control: WorkerControl,
        duties: Sequence[Duty],
        signs: VitalSigns,
        durations: Durations,
        intake: Intake,
    ) -> None:
        self._control = control
        self._duties = duties
        self._signs = signs
        self._durations = durations
        self._intake = intake

    def endpoint(self, address: str) -> MetricsEndpoint:
        """It listens there already, and answers once it is started. Raises OSError."""
        from gyoza_tui.metrics_endpoint import MetricsEndpoint
        from gyoza_tui.worker.monitoring.collector import WorkerCollector

        collector = WorkerCollector(self._control, self._duties, self._signs, self._durations, self._intake)
        return MetricsEndpoint(ListenAddress.parse(address), collector, {HEALTH: self._health})

    def line(self) -> str:
        """How the worker does, for a person who looks at its service."""
        snapshot = self._control.snapshot()
        here = [view for view in snapshot.runs if view.outcome is None]
        waiting = sum(view.waits is not None for view in here)
        parents = f", {waiting} waiting for their children" if waiting else ""
        hung = "".join(f"{name} hangs, " for name in self._signs.hung())
        return (
            f"{hung}{snapshot.state}, {len(here) - waiting} of {snapshot.max_runs} runs{parents}, {_server(snapshot)}"
        )

    def goes_on(self) -> bool:
        return not self._signs.hung()

    def _health(self) -> Page:
        """503 only while a new process would help. Names of duties and words of ours: whoever asks shows no key."""
        from gyoza_tui.metrics_endpoint import Page

        hung, degraded = self._signs.hung(), self._signs.degraded()
        said = {
            "status": "hung" if hung else "degraded" if degraded else "ok",
            "hung": hung,
            "degraded": degraded,
            "worker": self.line(),
        }
        status = HTTPStatus.SERVICE_UNAVAILABLE if hung else HTTPStatus.OK
        return Page(json.dumps(said).encode() + b"\n", "application/json", status)


def _server(snapshot: Snapshot) -> str:
    if snapshot.link.trouble is not None:
        return "server does not answer as it should"
    return "server answers" if snapshot.link.registered else "server not heard of yet"
