"""A worker that does nothing but be looked at, and remember what it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gyoza_tui.models.ansi import without_escapes
from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import Wanted, WantedWorkerState, WorkerState
from gyoza_tui.worker.duties.duty_status import DutyStatus
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.view.control import (
    Check,
    Children,
    Contact,
    ControlError,
    Ending,
    HistoryPage,
    LogHits,
    LogLine,
    LogPage,
    LogQuery,
    Reloaded,
    RunDetails,
    Stream,
    WorkerControl,
)
from gyoza_tui.worker.view.snapshot import Notice, RunView, Snapshot
from tests.ui.recording import Recording

NOW = 1773454450.0
"""2026-03-14 02:14:10 UTC, as StillClock's."""
SLICE_LINES = 100
"""What one slice of a search covers."""
BOOT = 100_000.0


def row(key: int, run_id: str, image: str = "classify:1", **more: Any) -> RunRow:
    run = OpRun(
        id=run_id, image=image, attempt=1, lease="lease", op_definition=image.partition(":")[0], op_version="1.0.0"
    )
    found = RunRow(key=key, server_id="s", run=run, name=f"gyoza-{run_id}", backend="docker", claimed_at=NOW - 190)
    return found._replace(**more)


def wanted(state: WantedWorkerState, **more: Any) -> Wanted:
    """By anna, ten minutes ago."""
    since = datetime.fromtimestamp(NOW - 600, UTC)
    return Wanted(**{"state": state, "seq": 1, "by": "anna", "since": since} | more)


def snapshot(**more: Any) -> Snapshot:
    """A worker that is well and has nothing to do."""
    base = Snapshot(
        version=1,
        taken_at=BOOT,
        utc=NOW,
        worker_id="lab-gpu-01",
        state=WorkerState.CLAIMING,
        refusal=None,
        max_runs=4,
        free_slots=4,
        server_url="http://localhost:5555",
        link=LinkState(registered=True, server_id="s", queued=14, latency_ms=12.0, beat_at=BOOT - 1, lease_s=30.0),
        next_try_s=0.0,
        backends={"docker": None},
        to_deliver=0,
        runs=(),
        duties=tuple(
            DutyStatus(name, last_ok=BOOT - 1, next_try=BOOT + 4)
            for name in ("heartbeat", "verdicts", "claim", "deliver", "children", "reconcile", "guard", "sample")
        ),
        hardware=HardwareSample(
            BOOT, cpu_percent=43.0, cpu_cores=32, load_1m=14.0, ram_total_mb=65536, ram_used_mb=31744
        ),
        disk_free_mb=412 * 1024,
    )
    return base._replace(**more)


@dataclass
class FakeControl:
    """Implements WorkerControl. `asked` holds every command as (name, *arguments)."""

    now: Snapshot = field(default_factory=snapshot)
    past: list[RunView] = field(default_factory=list)
    logs: dict[int, list[bytes]] = field(default_factory=dict)
    """By key: whole lines."""
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    told: tuple[Notice, ...] = ()
    readings: tuple[HardwareSample, ...] = ()
    checklist: tuple[Check, ...] = ()
    trouble: str | None = None
    """What every blocking call fails with."""
    offspring: dict[int, Children] = field(default_factory=dict)
    """By the parent's key."""
    detailed: dict[int, RunDetails] = field(default_factory=dict)
    descriptions: dict[int, dict[str, Any]] = field(default_factory=dict)
    lines: dict[int, tuple[LogLine, ...]] = field(default_factory=dict)
    """By key: lines as they were recorded."""
    queue_reason: str = ""
    connected: Contact = field(default_factory=Contact)
    queue_asked: int = 0
    """How often it was asked for the reason."""

    @classmethod
    def of(cls, recording: Recording) -> FakeControl:
        """Plays what a real worker showed."""
        return cls(
            now=recording.snapshot,
            past=list(recording.past),
            told=recording.told,
            readings=recording.readings,
            checklist=recording.checklist,
            detailed=recording.details,
            offspring=recording.children,
            descriptions=recording.descriptions,
            lines={key: tuple(line.line() for line in lines) for key, lines in recording.logs.items()},
        )

    def contact(self) -> Contact:
        return self.connected

    def snapshot(self) -> Snapshot:
        return self.now

    def duties(self) -> tuple[DutyStatus, ...]:
        return self.now.duties

    def samples(self) -> tuple[HardwareSample, ...]:
        return self.readings or ((self.now.hardware,) if self.now.hardware else ())

    def notices(self) -> tuple[Notice, ...]:
        return self.told

    def checks(self) -> tuple[Check, ...]:
        return self.checklist

    def pause(self) -> None:
        self._note("pause")
        self.now = self.now._replace(state=WorkerState.PAUSED)

    def resume(self) -> None:
        self._note("resume")
        self.now = self.now._replace(state=WorkerState.CLAIMING, wanted=None)

    def end(self, ending: Ending) -> None:
        self._note("end", ending)
        if ending is Ending.DRAIN:
            self.now = self.now._replace(state=WorkerState.DRAINING)

    def stop(self) -> Ending:
        self.end(Ending.DRAIN)
        return Ending.DRAIN

    def undo_drain(self) -> None:
        self._note("undo_drain")
        self.now = self.now._replace(state=WorkerState.CLAIMING, wanted=None)

    def cancel(self, run_id: str, attempt: int) -> bool:
        self._note("cancel", run_id, attempt)
        return True

    def release(self, run_id: str, attempt: int) -> bool:
        self._note("release", run_id, attempt)
        return True

    def try_now(self) -> None:
        self._note("try_now")

    def settings(self) -> dict[str, Any]:
        return {"max_runs": self.now.max_runs, "server_url": self.now.server_url}

    def reload(self) -> Reloaded:
        self._blocking("reload")
        return Reloaded()

    def seen(self, key: int) -> None:
        self._note("seen", key)

    def why_queued(self) -> str:
        self.queue_asked += 1
        self._blocking()
        return self.queue_reason

    def retry(self, run_id: str) -> None:
        self._blocking("retry", run_id)

    def freeze(self, key: int) -> None:
        self._blocking("freeze", key)

    def thaw(self, key: int) -> None:
        self._blocking("thaw", key)

    def history(self, wanted: RunFilter, limit: int) -> HistoryPage:
        self._blocking()
        now = self.now
        found = [view for view in self.past if wanted.matches(view.facts(now.worker_id), now.utc)]
        return HistoryPage(tuple(found[:limit]), len(found))

    def details(self, key: int) -> RunDetails:
        self._blocking()
        if key in self.detailed:
            return self.detailed[key]
        view = next(view for view in (*self.now.runs, *self.past) if view.key == key)
        return RunDetails(view, OpRun(id=view.run_id, image=view.image, op_definition=view.op_definition), None, ())

    def children(self, key: int) -> Children:
        self._blocking("children", key)
        return self.offspring.get(key, Children())

    def log_size(self, key: int) -> int | None:
        lines = self.logs.get(key)
        return None if lines is None else sum(len(line) + 1 for line in lines)

    def log_lines(self, key: int, start: int, count: int, line_max: int = 8192) -> LogPage:
        self._blocking()
        lines = self._log(key)
        start = max(0, len(lines) + start) if start < 0 else start
        return LogPage(lines[start : start + count], len(lines))

    def log_search(self, key: int, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        self._blocking()
        lines = [without_escapes(line.data.decode(errors="replace")) for line in self._log(key)]
        begin = max(0, line - SLICE_LINES) if backwards else max(0, line)
        end = min(len(lines), line if backwards else begin + SLICE_LINES)
        found = tuple(n for n in range(begin, end) if query.pattern.search(lines[n]))
        more = begin > 0 if backwards else end < len(lines)
        return LogHits(found, (begin if backwards else end) if more else None)

    def log_bytes(self, key: int) -> Iterator[bytes]:
        self._blocking()
        return (line.data + b"\n" for line in self._log(key))

    def describe(self, key: int) -> dict[str, Any]:
        self._blocking("describe", key)
        if self.descriptions:
            return self.descriptions[key]
        return {"State": {"Status": "running", "Pid": 4121}, "Config": {"Image": "classify:1", "Env": ["TOKEN=***"]}}

    def shell(self, key: int) -> tuple[str, ...]:
        self._blocking("shell", key)
        return ("true",)

    def _log(self, key: int) -> tuple[LogLine, ...]:
        if key in self.lines:
            return self.lines[key]
        lines = enumerate(self.logs.get(key, []))
        return tuple(LogLine(n, Stream.STDOUT, NOW + n / 10, data) for n, data in lines)

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)

    def _blocking(self, *asked: Any) -> None:
        if asked:
            self._note(*asked)
        if self.trouble is not None:
            raise ControlError(self.trouble)


_proof: type[WorkerControl] = FakeControl
