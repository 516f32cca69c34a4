"""Tell the server that we are here and what we run."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Final

import httpx

from gyoza_tui import __version__
from gyoza_tui.client.endpoints import HEARTBEAT
from gyoza_tui.models.limits import RUNS_LISTED_MAX, TROUBLE_WORDS_MAX
from gyoza_tui.models.workers import (
    PROTOCOL,
    Feature,
    GpuReport,
    HeartbeatRequest,
    ResourcesReport,
    RunningOpReport,
    WorkerState,
)
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.verdicts import Verdicts
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.runtime import Runtime

_TOGETHER_S: Final = 0.02
"""Beats that are asked for within this time are one. It also lets the run whose change asked go first."""
_AT_LEAST_S: Final = 0.05
_GOOD_BYE_S: Final = 2.0
_GOOD_BYE_PAUSE_S: Final = 0.25


class Heartbeat(Duty):
    """Reads only memory: no slow disk and no hung engine delays a beat."""

    name = "heartbeat"

    def __init__(self, runtime: Runtime, verdicts: Verdicts) -> None:
        super().__init__(runtime.clock, runtime.notices, runtime.wakes.beat)
        self._runtime = runtime
        self._verdicts = verdicts
        self._sending = threading.Lock()
        self._beat = 0
        self._sent_at = 0.0

    def tick(self) -> float:
        self._clock.wait(self._stopped, _TOGETHER_S)
        self._wake.clear()
        with self._sending:
            if not self._stopped.is_set():
                self._sent_at = self._clock.boot()
                self.beat(self._runtime.link.state.heartbeat_s)
        return self._runtime.link.state.heartbeat_s

    def retry_s(self) -> float:
        """Beats find out that the server is back, so they go on at their interval, counted from when one was sent."""
        return max(_AT_LEAST_S, self._sent_at + self._runtime.link.state.heartbeat_s - self._clock.boot())

    def fall_silent(self) -> None:
        """No beat begins any more, and none is under way, so that a good-bye is the last that the server hears."""
        self.stop()
        if self._sending.acquire(timeout=_GOOD_BYE_S):
            self._sending.release()

    def beat(self, timeout_s: float) -> None:
        """One beat; raises httpx.HTTPError."""
        runtime = self._runtime
        # the first beat knows no server: what is too much for one goes into the next, which lists one server's rows
        rows = [row for row in runtime.reportable() if not row.acked][-RUNS_LISTED_MAX:]
        runtime.client.open()
        sent_at = self._clock.boot()
        try:
            reply = runtime.client.beat(self.request(rows), timeout_s)
        except httpx.HTTPError as error:
            runtime.link.failed(HEARTBEAT, error)
            raise
        runtime.link.beaten(reply, sent_at)
        runtime.wakes.claim.set()  # which may wait for this beat
        self._verdicts.hear(rows, reply)

    def say_away(self) -> None:
        """Send the last beat of a worker that leaves runs behind, after `fall_silent`; retry it for two seconds."""
        deadline = self._clock.boot() + _GOOD_BYE_S
        self._runtime.mode.leave()
        while self._clock.boot() < deadline:
            try:
                return self.beat(max(0.2, deadline - self._clock.boot()))
            except httpx.HTTPError:
                self._clock.wait(threading.Event(), _GOOD_BYE_PAUSE_S)
        return None

    def request(self, rows: Sequence[RunRow]) -> HeartbeatRequest:
        """The next beat, which lists these rows."""
        runtime, state = self._runtime, self._runtime.link.state
        self._beat += 1
        offered = runtime.admission.offered
        with_inputs = state.registered and state.protocol is None
        return HeartbeatRequest(
            worker_id=runtime.context.worker_id,
            resources=ResourcesReport(
                cpu_cores=offered.cpu_cores,
                ram_mb=offered.ram_mb,
                gpus=[
                    GpuReport(id=gpu.id, vram_mb=gpu.vram_mb, foreign_mb=runtime.foreign.mb(gpu.id), tags=gpu.tags)
                    for gpu in offered.gpus
                ],
            ),
            tags=list(runtime.context.tags),
            running_ops=[_report(row, with_inputs=with_inputs) for row in rows],
            instance_id=runtime.state_dir.instance_id,
            epoch=runtime.state_dir.epoch,
            beat=self._beat,
            state=runtime.mode.state,
            version=__version__,
            protocol=PROTOCOL,
            hostname=socket.gethostname(),
            max_runs=runtime.admission.max_runs,
            free_slots=runtime.wanted,
            backends=runtime.pool.available,
            ops=runtime.pool.ops,
            trouble={name: words[:TROUBLE_WORDS_MAX] for name, words in runtime.pool.troubles.items()},
            features=list(Feature),
            away_s=runtime.settings.away_s if runtime.mode.state is WorkerState.AWAY else None,
        )


def _report(row: RunRow, *, with_inputs: bool) -> RunningOpReport:
    return RunningOpReport(
        id=row.run_id,
        image=row.run.image,
        inputs=row.run.inputs if with_inputs else None,
        constraints=row.run.constraints,
        attempt=row.attempt,
        lease=row.lease,
        phase=row.step or "claimed",
    )
