"""The control of the worker in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.duties.duty_status import DutyStatus
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.view.check import Check
from gyoza_tui.worker.view.commands import Commands
from gyoza_tui.worker.view.control import (
    Children,
    Contact,
    Ending,
    HistoryPage,
    LogHits,
    LogPage,
    LogQuery,
    Reloaded,
    RunDetails,
)
from gyoza_tui.worker.view.freezes import Freezes
from gyoza_tui.worker.view.history import RunHistory
from gyoza_tui.worker.view.run_inquiry import RunInquiry
from gyoza_tui.worker.view.run_logs import RunLogs
from gyoza_tui.worker.view.snapshot import Notice, Snapshot
from gyoza_tui.worker.view.snapshot_builder import SnapshotBuilder


class LocalControl:
    """Of the worker in this process."""

    def __init__(
        self,
        commands: Commands,
        builder: SnapshotBuilder,
        history: RunHistory,
        inquiry: RunInquiry,
        freezes: Freezes,
        logs: RunLogs,
        slots: Slots,
        notices: Notices,
    ) -> None:
        self._commands = commands
        self._builder = builder
        self._history = history
        self._inquiry = inquiry
        self._freezes = freezes
        self._logs = logs
        self._slots = slots
        self._notices = notices

    def contact(self) -> Contact:
        return Contact()

    def snapshot(self) -> Snapshot:
        return self._builder.snapshot()

    def duties(self) -> tuple[DutyStatus, ...]:
        return self._builder.duties()

    def samples(self) -> tuple[HardwareSample, ...]:
        return self._builder.samples()

    def checks(self) -> tuple[Check, ...]:
        return self._builder.checks()

    def settings(self) -> dict[str, Any]:
        return self._commands.settings()

    def reload(self) -> Reloaded:
        return self._commands.reload()

    def seen(self, key: int) -> None:
        self._commands.seen(key)

    def why_queued(self) -> str:
        return self._inquiry.why_queued()

    def retry(self, run_id: str) -> None:
        self._inquiry.retry(run_id)

    def freeze(self, key: int) -> None:
        self._freezes.freeze(key)

    def thaw(self, key: int) -> None:
        self._freezes.thaw(key)

    def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
        return self._history.page(wanted, limit)

    def details(self, key: int) -> RunDetails:
        return self._inquiry.details(key)

    def children(self, key: int) -> Children:
        return self._inquiry.children(key)

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
        return self._notices.recent()

    def pause(self) -> None:
        self._commands.pause()

    def resume(self) -> None:
        self._commands.resume()

    def end(self, ending: Ending) -> None:
        self._commands.end(ending)

    def stop(self) -> Ending:
        return self._commands.stop()

    def undo_drain(self) -> None:
        self._commands.undo_drain()

    def cancel(self, run_id: str, attempt: int) -> bool:
        return self._commands.cancel(run_id, attempt)

    def release(self, run_id: str, attempt: int) -> bool:
        return self._commands.release(run_id, attempt)

    def try_now(self) -> None:
        self._commands.try_now()
