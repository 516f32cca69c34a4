"""One worker's parts on a fake clock, its duties turned by hand, against a scripted server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from gyoza_tui.backends.base import Backend
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EventType
from gyoza_tui.settings import Settings
from gyoza_tui.worker.attempt_record import AttemptRecord
from gyoza_tui.worker.duties.claim import Claim
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.guard import Guard
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.duties.reconcile import Reconcile
from gyoza_tui.worker.duties.verdicts import Verdicts
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.runner import Worker
from tests.clock import FakeClock
from tests.scripted_server import SERVER_ID, ScriptedServer
from tests.worker.fake_backend import FakeBackend

_D = TypeVar("_D")


@dataclass
class Rig:
    """No thread runs: what would be started in a slot is in `started`."""

    server: ScriptedServer
    state: Path
    settings: dict[str, Any] = field(default_factory=dict)
    backends: dict[str, Backend] | None = None
    clock: Any = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.backend = FakeBackend()
        usual: dict[str, Any] = {"server_url": self.server.url, "max_runs": 4, "min_free_mb": 0}
        made = Settings(worker_id="w1", state_dir=self.state, **usual | self.settings)
        self.worker = Worker(made, backends=self.backends or {"docker": self.backend}, clock=self.clock)
        self.started: list[RunRow] = []
        self.worker.slots.start = self._start  # type: ignore[method-assign]
        self.parts = self.worker.parts
        self.journal = self.parts.journal
        self.link = self.parts.link
        self.heartbeat = self._duty(Heartbeat)
        self.verdicts = self._duty(Verdicts)
        self.claim = self._duty(Claim)
        self.deliver = self._duty(Deliver)
        self.reconcile = self._duty(Reconcile)
        self.guard = self._duty(Guard)

    def _duty(self, kind: type[_D]) -> _D:
        return next(duty for duty in self.worker.duties if isinstance(duty, kind))

    def close(self) -> None:
        self.worker.close()

    def _start(self, row: RunRow) -> None:
        if all(row.key != started.key for started in self.started):
            self.started.append(row)

    def beat(self) -> float:
        """One beat, and what it was answered is done; seconds until the next."""
        wait: float = self.heartbeat.step() - self.clock.boot()
        self.verdicts.step()
        return wait

    def registered(self) -> Self:
        """Registered, its backends looked at."""
        self.parts.pool.check()
        self.beat()
        assert self.link.state.registered
        return self

    def row(self, run_id: str = "r1", *, server_id: str = SERVER_ID, started: bool = True, **run: Any) -> RunRow:
        """A row as a claim makes it; with `started`, the server has taken its STARTED."""
        claimed = OpRun(id=run_id, **{"image": "op", "attempt": 1, "lease": "l1"} | run)
        row = self.journal.take(server_id, claimed, "docker")
        if started:
            self.journal.update(row.key, started_acked=True)
        return self.now(row)

    def now(self, row: RunRow) -> RunRow:
        """The row as it stands."""
        found = self.journal.get(row.key)
        assert found is not None, "the row is closed"
        return found

    def closed(self, row: RunRow) -> bool:
        return self.journal.get(row.key) is None

    def record(self, row: RunRow) -> AttemptRecord:
        import threading

        return self.parts.records.of(row, threading.Event())

    def end(self, row: RunRow, kind: EventType = EventType.COMPLETED, payload: dict[str, Any] | None = None) -> RunRow:
        """The run has ended here, cleaned up, and its report waits."""
        outcomes = {
            EventType.COMPLETED: Outcome.COMPLETED,
            EventType.FAILED: Outcome.FAILED,
            EventType.CANCELLED: Outcome.CANCELLED,
        }
        self.journal.update(row.key, cleaned=True)
        self.record(row).finish(outcomes[kind], "as the test has it", EventReport(type=kind, payload=payload))
        return self.now(row)

    def release(self, row: RunRow) -> RunRow:
        self.journal.update(row.key, cleaned=True)
        self.record(row).finish(Outcome.RELEASED, "as the test has it", None)
        return self.now(row)

    def says(self, row: RunRow, *texts: str | float) -> None:
        """The op told these INFOs (PROGRESS for a number)."""
        kinds = {True: EventType.INFO, False: EventType.PROGRESS}
        self.record(row).events([EventReport(type=kinds[isinstance(text, str)], msg=text) for text in texts])

    def deliver_for(self, seconds: float) -> None:
        """Turn the deliver duty for that long on its clock."""
        ends = self.clock.boot() + seconds
        while self.clock.boot() <= ends:
            next_try = self.deliver.step()
            if self.parts.wakes.deliver.is_set():
                self.parts.wakes.deliver.clear()
            else:
                now = self.clock.boot()
                self.clock.turn(max(0.01, min(next_try, ends) - now))

    def said(self) -> str:
        return "\n".join(notice.text for notice in self.parts.notices.recent())

    @staticmethod
    def only(rows: Iterable[RunRow]) -> RunRow:
        (row,) = rows
        return row
