"""The record of one attempt in a worker: journal row and outbox."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.worker import endings
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.hooks import HookCalls
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.notices.notices import Level, Notices
from gyoza_tui.worker.op_output.redaction import redacted, redacted_report
from gyoza_tui.worker.wakes import Wakes

_WAIT_SLICE_S = 30.0
_IN_BEATS: Final = frozenset({"cleaned", "frozen_since"})
"""Changes that the server learns by a beat."""


class Records(NamedTuple):
    """What the records of all attempts write to, whom they tell, and whom they wake."""

    journal: Journal
    clock: Clock
    notices: Notices
    hooks: HookCalls
    wakes: Wakes
    worker_id: str

    def begin(self, row: RunRow) -> None:
        """An attempt without an end is at work here."""
        self.hooks.run_start(row)

    def of(self, row: RunRow, wake: threading.Event) -> AttemptRecord:
        """`wake` is set for the one who waits for what becomes of a report."""
        return AttemptRecord(self, row, wake)


class AttemptRecord:
    """Implements `services.Record`. What it is told is on disk when it returns, without the run's secrets."""

    def __init__(self, records: Records, row: RunRow, wake: threading.Event) -> None:
        self._records = records
        self._journal = records.journal
        self._key = row.key
        self._last = row
        self._wake = wake

    @property
    def row(self) -> RunRow:
        self._journal.check_open()
        self._last = self._journal.get(self._key) or self._last
        return self._last

    def update(self, **changes: object) -> None:
        self._journal.update(self._key, **changes)
        if changes.keys() & _IN_BEATS:
            self._records.wakes.beat.set()

    def begin_step(self, step: str) -> None:
        self._journal.begin_step(self._key, step)
        self._records.hooks.step(self.row, step)

    def started(self) -> None:
        self._journal.start(self._key, self._stamped(EventReport(type=EventType.STARTED, msg="started")))
        self._records.wakes.deliver.set()
        while not self.row.started_acked:
            Services.check(self.row)
            self._records.clock.wait(self._wake, _WAIT_SLICE_S)
            self._wake.clear()

    def events(self, reports: Iterable[EventReport], parsed: int | None = None) -> None:
        self._journal.events(self._key, [self._stamped(report) for report in reports], parsed=parsed)
        self._records.wakes.deliver.set()

    def finish(self, outcome: Outcome, note: str, report: EventReport | None) -> None:
        note = redacted(note, self._secrets)
        report = self._stamped(report) if report else None
        written = endings.write(self._journal, self.row, self._records.worker_id, outcome, note, report)
        if written is not None:
            row = self.row
            level: Level = "warning" if outcome is Outcome.FAILED else "info"
            text = f"{row.run_id} {outcome}" + (f": {written}" if written else "")
            self._records.notices.say(text, level, run=row.run_id, attempt=row.attempt, state=outcome, note=written)
            self._records.hooks.run_end(row)
        self._records.wakes.deliver.set()

    def _stamped(self, report: EventReport) -> EventReport:
        row = self.row
        fence = {"worker_id": self._records.worker_id, "attempt": row.attempt, "lease": row.lease}
        return redacted_report(report, self._secrets).model_copy(update=fence | {"t": self._records.clock.utc()})

    @property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(self._last.run.secret_env.values())
