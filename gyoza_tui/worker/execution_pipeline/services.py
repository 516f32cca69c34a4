"""What steps work with: the backend, the record of what was done, the log, and the word to stop."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from gyoza_tui.backends.base import (
    AttemptElsewhere,
    AttemptPhase,
    Backend,
    BackendBroken,
    BackendError,
    BackendUnavailable,
    DiskFull,
    Handle,
    PullProgress,
    VanishedHandle,
)
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.runs import EventReport
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.execution_pipeline.patience import Patience
from gyoza_tui.worker.execution_pipeline.superseded import RunSuperseded
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.retry_notice import RetryNotice

if TYPE_CHECKING:
    from gyoza_tui.worker.execution_pipeline.log_pump import LogPump
    from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
    from gyoza_tui.worker.image_pulls import ImagePulls
    from gyoza_tui.worker.op_output.log_spool import LogSpool

log = logging.getLogger(__name__)

_T = TypeVar("_T")

ENGINE_PATIENCE_S: Final = 30.0
"""How long a call is repeated while the engine does not answer, before the attempt fails for the machine's fault."""
_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0)
_LEFT: Final = "the worker tries to remove it every minute"


class Record(Protocol):
    """What was done for one attempt and what is told of it; in a worker the journal and its outbox."""

    @property
    def row(self) -> RunRow:
        """As it stands now."""

    def update(self, **changes: object) -> None: ...

    def begin_step(self, step: str) -> None: ...

    def started(self) -> None:
        """Tell STARTED and wait for the answer. Raises RunSuperseded when the server says it is not ours."""

    def events(self, reports: Iterable[EventReport], parsed: int | None = None) -> None: ...

    def finish(self, outcome: Outcome, note: str, report: EventReport | None) -> None:
        """The end; done when it is on disk (in a script: when it is told)."""


class RunPlace(Protocol):
    """Where an attempt's files lie on this machine."""

    def make_run_dir(self, name: str) -> Path: ...

    def remove_run_dir(self, name: str) -> None: ...


class Channel(Protocol):
    """Where ops create runs and wait for them."""

    def open(self, row: RunRow, run_dir: Path, op_dir: str, backend: Backend) -> Mapping[str, str]:
        """Listen for the op, if it may create runs; the variables that it finds. May be repeated."""

    def close(self, key: int) -> None: ...


@dataclass
class Services:
    """Of one attempt."""

    backend: Backend
    record: Record
    pulls: ImagePulls
    spool: LogSpool
    place: RunPlace
    clock: Clock
    labels: dict[str, str]
    stop_grace_s: float
    gpu: GpuInfo | None = None
    channel: Channel | None = None
    """None where no server is asked, as in a script."""
    listen: Callable[[], Mapping[str, str]] = dict
    """Opens the channel for the op, unless it is open; what `Channel.open` gives."""
    keep_logs: bool = True
    """Whether `ctx.logs` is filled; the worker's own pipeline has no step that reads it."""
    interrupt: threading.Event = field(default_factory=threading.Event)
    """Set once an intent is in the record."""
    wake: threading.Event = field(default_factory=threading.Event)
    """Wakes the slot thread: an intent, or the end of the container."""
    pump: LogPump | None = None
    """Brings the output to the spool, once the container is started."""
    kill_at: float | None = None
    """UTC seconds at which what was asked to stop is killed; None while nothing is."""
    again: RetryNotice | None = None
    """While something went wrong and is tried again."""
    machine_fault: Callable[[], str | None] | None = None
    """After a failure before the start: why this machine cannot start the attempt, None when it can. Without it, as in
    a script, the attempt cannot be given back either."""
    waits_for_room: bool = False
    """Whether the steps are run again for what has started, rather than that it fails for want of room on a disk."""
    filled_disk: Callable[[], str] = str
    """How this attempt filled a disk and is stopped for it; empty when it did not."""
    on_pull: Callable[[PullProgress], None] = lambda _progress: None
    on_thaw: Callable[[], None] = lambda: None
    warn: Callable[[str], None] = log.warning

    def check_intent(self) -> None:
        """Raise RunSuperseded when somebody wants the run ended."""
        self.check(self.record.row)

    @staticmethod
    def check(row: RunRow) -> None:
        if row.intent is not Intent.NONE:
            raise RunSuperseded(row.intent, row.intent_note)

    def patiently(
        self,
        what: str,
        call: Callable[[], _T],
        patience_s: float = ENGINE_PATIENCE_S,
        broken_patience_s: float | None = None,
    ) -> _T:
        """`call()`, repeated while the engine does not answer; an intent or the end of patience ends that.

        `broken_patience_s`, where it differs, is for an engine that answers and cannot do its work.
        """
        began = self.clock.boot()
        backoff = self.backoff()
        try:
            while True:
                try:
                    return call()
                except BackendUnavailable as error:
                    broken = isinstance(error, BackendBroken) and broken_patience_s is not None
                    if self.clock.boot() >= began + (broken_patience_s or 0.0 if broken else patience_s):
                        raise
                    if backoff.failures == 0:
                        self.warn(f"{what}: {error}; trying again")
                    self.check_intent()
                    self._pause(f"{what}: {error}", backoff.fail(), self.interrupt)
        finally:
            self.again = None

    def pulled(self, progress: PullProgress) -> None:
        """How far the pull is; what went wrong before is over then."""
        self.again = None
        self.on_pull(progress)

    def lacks_room(self, error: BaseException) -> bool:
        """Whether that keeps what has started from its end only for as long as a disk is full."""
        row = self.record.row
        if not self.waits_for_room:
            return False
        if isinstance(error, DiskFull):
            return row.started_at is not None
        return row.start_asked and DiskFull.of(error, self.spool.path) is not None

    def check_lost(self) -> None:
        """Raise RunSuperseded when the run is another's now; what has ended is reported in spite of a cancel."""
        row = self.record.row
        if row.intent is Intent.LOST:
            raise RunSuperseded(row.intent, row.intent_note)

    def stop_attempt(self) -> bool:
        """Stop whatever runs of the attempt and verify that it is gone, however long the engine takes to answer.

        Whether anything ran. What a backend cannot stop although its engine answers is left to the worker's sweep.
        Raises AttemptElsewhere.
        """
        row = self.record.row
        handle = row.handle
        if handle is None or not row.start_asked:
            return False
        try:
            return self._persistently("stop", lambda: self._stop(handle))
        except VanishedHandle:
            return False
        except AttemptElsewhere:
            raise
        except BackendError as error:
            self.warn(f"not stopped: {error}; {_LEFT}")
            return True

    def _stop(self, handle: Handle) -> bool:
        runs = self.backend.state(handle) is AttemptPhase.RUNNING
        self.kill_at = self.clock.utc().timestamp() + self.stop_grace_s
        try:
            self.backend.stop(handle, self.stop_grace_s)
        finally:
            self.kill_at = None
        return runs

    def remove_attempt(self) -> None:
        """Remove what the backend made for the attempt, however long the engine takes to answer."""
        try:
            self._persistently("remove", self._remove)
        except VanishedHandle:
            return
        except BackendError as error:
            self.warn(f"not removed: {error}; {_LEFT}")

    def _remove(self) -> None:
        row = self.record.row
        found = [] if row.handle else [made for made in self.backend.find(self.labels) if made.name == row.name]
        for handle in [row.handle] if row.handle else [made.handle for made in found]:
            try:
                self.backend.remove(handle)
            except BackendError:
                if self.backend.state(handle) is not AttemptPhase.RUNNING:
                    raise
                # its end is on record, and it was started again from outside
                self.backend.stop(handle, 0.0)
                self.backend.remove(handle)

    def finish(self, outcome: Outcome, note: str, report: EventReport | None) -> None:
        """Put the end on record, however long the disk has no room for it: nobody else knows of it."""
        self._persistently("end", lambda: self.record.finish(outcome, note, report), (OSError, sqlite3.Error))

    def _persistently(
        self, what: str, call: Callable[[], _T], trouble: tuple[type[Exception], ...] = (BackendError,)
    ) -> _T:
        """`call()`, repeated until it succeeds; a backend's error is raised once the patience with it is over."""
        backoff, patience = self.backoff(), Patience(self.clock)
        while True:
            try:
                done = call()
            except trouble as error:
                if isinstance(error, BackendError) and patience.over(error):
                    self.again = None
                    raise
                if backoff.failures == 0:
                    self.warn(f"{what}: {error}; trying again until it is done")
                self._pause(f"{what}: {error}", backoff.fail(), threading.Event())
            else:
                self.again = None
                return done

    def backoff(self) -> Backoff:
        return Backoff(self.clock, _PAUSES_S, jitter=False)

    def _pause(self, why: str, pause_s: float, unless: threading.Event) -> None:
        self.again = RetryNotice(why, self.clock.utc().timestamp() + pause_s)
        self.clock.wait(unless, pause_s)


def services_of(ctx: ExecutionContext) -> Services:
    """The context's services; made from the settings and kept there when a plain script runs the step."""
    if ctx.services is None:
        from gyoza_tui.worker.execution_pipeline.script import script_services

        ctx.services = script_services(ctx)
    return ctx.services
