"""The control of the worker in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.duties.duty import Duty, DutyStatus
from gyoza_tui.worker.journal.look import secrets_of
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.checks import Check, checklist
from gyoza_tui.worker.view.control import Contact, Ending, HistoryPage, LogHits, LogPage, LogQuery, RunDetails
from gyoza_tui.worker.view.early_intents import EarlyIntents
from gyoza_tui.worker.view.history import RunHistory
from gyoza_tui.worker.view.run_inquiry import RunInquiry
from gyoza_tui.worker.view.run_logs import LogLocation, RunLogs
from gyoza_tui.worker.view.snapshot import Notice, Snapshot
from gyoza_tui.worker.view.snapshot_builder import SnapshotBuilder


class LocalControl:
    """Of the worker in this process."""

    def __init__(self, runtime: Runtime, slots: Slots, duties: list[Duty], ending: AskedEnding) -> None:
        self._runtime = runtime
        self._slots = slots
        self._ending = ending
        self._intents = EarlyIntents(slots, runtime.notices)
        self._builder = SnapshotBuilder(runtime, slots, self._intents, duties)
        self._logs = RunLogs(self._log_source)
        self._history = RunHistory(runtime, self._builder)
        self._inquiry = RunInquiry(runtime, self._builder, self._history)

    def contact(self) -> Contact:
        return Contact()

    def snapshot(self) -> Snapshot:
        return self._builder.snapshot()

    def duties(self) -> tuple[DutyStatus, ...]:
        return self._builder.duties()

    def samples(self) -> tuple[HardwareSample, ...]:
        return self._runtime.history.samples()

    def checks(self) -> tuple[Check, ...]:
        return checklist(self.snapshot(), own_ops=bool(self._runtime.pool.ops))

    def seen(self, key: int) -> None:
        if not self._runtime.journal.seen(key):
            raise KeyError(key)

    def why_queued(self) -> str:
        return self._inquiry.why_queued()

    def retry(self, run_id: str) -> None:
        self._inquiry.retry(run_id)

    def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
        return self._history.page(wanted, limit)

    def details(self, key: int) -> RunDetails:
        return self._inquiry.details(key)

    def log_size(self, key: int) -> int | None:
        return self._slots.spooled(key)

    def log_lines(self, key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
        return self._logs.lines(key, start, count, line_max)

    def log_search(self, key: int, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        return self._logs.search(key, query, line, backwards=backwards)

    def log_bytes(self, key: int) -> Iterator[bytes]:
        return self._logs.bytes(key)

    def describe(self, key: int) -> dict[str, Any]:
        return self._inquiry.describe(key)

    def shell(self, key: int) -> tuple[str, ...]:
        return self._inquiry.shell(key)

    def notices(self) -> tuple[Notice, ...]:
        return self._runtime.notices.recent()

    def pause(self) -> None:
        self._runtime.mode.pause(True)

    def resume(self) -> None:
        self._runtime.mode.pause(False)

    def end(self, ending: Ending) -> None:
        self._ending.ask(ending)

    def undo_drain(self) -> None:
        self._ending.undo_drain()

    def cancel(self, run_id: str, attempt: int) -> bool:
        return self._intend(run_id, attempt, Intent.CANCEL, "cancelled at the worker")

    def release(self, run_id: str, attempt: int) -> bool:
        return self._intend(run_id, attempt, Intent.RELEASE, "released at the worker")

    def try_now(self) -> None:
        runtime = self._runtime
        runtime.link.try_now()
        for wake in (runtime.wakes.beat, runtime.wakes.claim, runtime.wakes.deliver, runtime.wakes.reconcile):
            wake.set()

    def _intend(self, run_id: str, attempt: int, intent: Intent, note: str) -> bool:
        intended = [self._intents.intend(row, intent, note) for row in self._rows(run_id, attempt)]
        return any(intended)

    def _log_source(self, key: int) -> LogLocation:
        row = self._inquiry.row(key)
        state_dir = self._runtime.state_dir
        values = secrets_of(state_dir.journal.absolute(), row.run_id) or ()
        return LogLocation(state_dir.log_of(row.name), {*values, *row.run.secret_env.values()})

    def _rows(self, run_id: str, attempt: int) -> list[RunRow]:
        rows = self._runtime.active()
        return [row for row in rows if (row.run_id, row.attempt) == (run_id, attempt) and row.outcome is None]
