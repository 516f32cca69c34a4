"""Tell the server that we are here and what we run; hear what it says of our runs."""

from __future__ import annotations

import socket
from typing import Final

import httpx

from gyoza_tui import __version__
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import (
    PROTOCOL,
    GpuReport,
    HeartbeatReply,
    HeartbeatRequest,
    ResourcesReport,
    RunningOpReport,
    RunVerdict,
    Verdict,
    WorkerState,
)
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.run_row import Intent, RunRow
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots

_TOGETHER_S: Final = 0.02
"""Beats that are asked for within this time are one."""
_GOOD_BYE_S: Final = 2.0


class Heartbeat(Duty):
    """Reads only memory: no slow disk and no hung engine delays a beat."""

    name = "heartbeat"

    def __init__(self, runtime: Runtime, slots: Slots) -> None:
        super().__init__(runtime.clock, runtime.notices, runtime.wakes.beat)
        self._runtime = runtime
        self._slots = slots
        self._beat = 0
        self._last_at = 0.0

    def tick(self) -> float:
        wait = self._last_at + _TOGETHER_S - self._clock.boot()
        if wait > 0:
            self._clock.wait(self._stopped, wait)
            self._wake.clear()
        interval = self._runtime.link.state.heartbeat_s
        self._last_at = self._clock.boot()
        try:
            self.beat(interval)
        finally:
            self._guard_lease()
        return interval

    def retry_s(self) -> float:
        """Beats find out that the server is back, so they go on at their interval."""
        return self._runtime.link.state.heartbeat_s

    def beat(self, timeout_s: float) -> None:
        """One beat; raises httpx.HTTPError."""
        runtime = self._runtime
        sent_at = self._clock.boot()
        try:
            reply = runtime.client.beat(self.request(), timeout_s)
        except httpx.HTTPError as error:
            runtime.link.failed(error)
            raise
        runtime.link.beaten(reply, sent_at)
        self._heed(reply)

    def say_away(self) -> None:
        """The last beat of a worker that leaves runs behind; tried for two seconds."""
        deadline = self._clock.boot() + _GOOD_BYE_S
        self._runtime.mode.leave()
        while self._clock.boot() < deadline:
            try:
                return self.beat(max(0.2, deadline - self._clock.boot()))
            except httpx.HTTPError:
                self._clock.wait(self._stopped, 0.2)
        return None

    def request(self) -> HeartbeatRequest:
        runtime, state = self._runtime, self._runtime.link.state
        self._beat += 1
        offered = runtime.admission.offered
        with_inputs = state.registered and state.protocol is None
        listed = [row for row in runtime.journal.rows() if not row.acked and not runtime.held(row)]
        return HeartbeatRequest(
            worker_id=runtime.context.worker_id,
            resources=ResourcesReport(
                cpu_cores=offered.cpu_cores,
                ram_mb=offered.ram_mb,
                gpus=[GpuReport(id=gpu.id, vram_mb=gpu.vram_mb, tags=gpu.tags) for gpu in offered.gpus],
            ),
            tags=list(runtime.context.tags),
            running_ops=[_report(row, with_inputs=with_inputs) for row in listed],
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
            away_s=runtime.settings.away_s if runtime.mode.state is WorkerState.AWAY else None,
        )

    def _heed(self, reply: HeartbeatReply) -> None:
        """Act on what the server says of each run that the beat listed."""
        for row in self._runtime.journal.rows():
            verdict = (reply.runs or {}).get(row.run_id)
            if verdict is None or self._runtime.held(row):
                self._let_go_of_held(row)
                continue
            self._runtime.context.set_run_state(row.run_id, verdict.state)
            self._judge(row, verdict)

    def _judge(self, row: RunRow, said: RunVerdict) -> None:
        if said.attempt is not None and said.attempt > row.attempt:
            self._slots.intend(row, Intent.LOST, "the server has a newer attempt")
        elif said.verdict is Verdict.CANCEL or said.state is RunState.CANCELLED:
            self._slots.intend(row, Intent.CANCEL, "cancelled at the server", by_server=True)
        elif said.verdict is Verdict.LOST:
            self._slots.intend(row, Intent.LOST, "the server gave it to another")
        elif said.verdict is Verdict.UNKNOWN and not row.started_acked:
            self._slots.intend(row, Intent.LOST, "the server does not know it, and nothing was done")

    def _let_go_of_held(self, row: RunRow) -> None:
        if self._runtime.held(row) and not row.started_acked:
            self._slots.intend(row, Intent.LOST, "its server is gone, and nothing was done")

    def _guard_lease(self) -> None:
        """Stop what runs when the owner wants that, before the server may give it to another."""
        runtime, state = self._runtime, self._runtime.link.state
        if runtime.settings.on_lease_lost != "stop" or state.lease_s is None:
            return
        if runtime.link.silent_s >= state.lease_s + state.grace_s - runtime.settings.stop_grace_s:
            for row in runtime.active():
                self._slots.intend(row, Intent.RELEASE, "the server was silent until the lease was over")


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
