"""One thread per running op."""

from __future__ import annotations

import sqlite3
import threading
import traceback
from typing import Final

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, Label, PullProgress
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.attempt_record import AttemptRecord
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.probes import Subject
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.runtime import Runtime

_AGAIN_S: Final = 5.0
"""Before the pipeline is run again for a row that could not be brought to its end, as on a full disk."""


_LEAVE_S: Final = 5.0
_LOOK_S: Final = 0.05
"""How often it is looked whether another run is cleaned up."""
_NOT_BEGUN: Final = (None, None, Intent.NONE)
"""Handle, outcome and intent of a row for which nothing was done yet."""
_REFUSED_S: Final = 60.0
"""Longer than a run is on record before its refusal is."""


class Slots:
    """Runs the pipeline for journal rows, and passes intents on to the threads that do."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._running: dict[int, Services | None] = {}
        self._pulls: dict[int, PullProgress] = {}
        self._held: dict[int, RetryNotice] = {}
        self._said_held: set[int] = set()
        """Runs that were said to be held, and not found within reach since."""
        self._said: dict[int, str] = {}
        """What was said last of a run whose pipeline is tried again."""
        self._asked: dict[int, Intent] = {}
        """Intents on their way into the journal."""
        self._filled: dict[int, str] = {}
        """How runs filled a disk that are stopped for it: the disk may have no room to journal that."""

    def start(self, row: RunRow) -> None:
        """Run the pipeline for the row in a thread of its own; once per row."""
        with self._lock:
            if row.key in self._running or self._over(row):  # its own thread may just have ended it
                return
            self._running[row.key] = None
        run = row.run
        self._runtime.context.add_running_op(
            run.id, run.image, run.inputs, run.constraints.model_dump(exclude_none=True)
        )
        try:
            threading.Thread(target=self._serve, args=(row,), name=f"run-{row.run_id[:8]}", daemon=True).start()
        except RuntimeError:  # as many threads as there may be: reconcile tries again
            self._leave(row)
            raise

    def start_what_waits(self) -> None:
        """Start rows that have no thread, because none could be made when they were taken.

        One that is just being refused has no backend, and needs no thread; unless its refusal could not be written.
        """
        now = self._runtime.clock.utc().timestamp()
        for row in self._runtime.active():
            if row.backend in self._runtime.pool or now - row.claimed_at > _REFUSED_S:
                self.start(row)

    def intend(self, row: RunRow, intent: Intent, note: str, *, by_server: bool = False) -> bool:
        """Journal the intent, then wake the thread that acts on it; whether it was news."""
        news = self._runtime.journal.intend(row.key, intent, note, by_server=by_server)
        if news:
            self.wake(row.key)
        return news

    def ask(self, row: RunRow, intent: Intent, note: str) -> bool:
        """Intend without waiting for the disk, and show it at once; whether it can still become so."""
        with self._lock:
            if not self.as_asked(row).may_become(intent):
                return False
            self._asked[row.key] = intent
        try:
            threading.Thread(target=self._intend_asked, args=(row, intent, note), name="intend", daemon=True).start()
        except RuntimeError:  # as many threads as there may be: better late than never
            self._intend_asked(row, intent, note)
        return True

    def as_asked(self, row: RunRow) -> RunRow:
        """With the intent that is on its way into the journal."""
        asked = self._asked.get(row.key)
        return row if asked is None else row._replace(intent=asked)

    def filled_disk(self, row: RunRow, words: str) -> None:
        """What its end is reported with, once the run is stopped for that."""
        self._filled[row.key] = words

    def wake(self, key: int) -> None:
        """Let the run's thread look at its row again."""
        services = self._running.get(key)
        if services is not None:
            if services.record.row.intent is not Intent.NONE:
                services.interrupt.set()
            services.wake.set()

    def note(self, key: int, text: str) -> None:
        """Put a line of ours into its log, while it is written."""
        services = self._running.get(key)
        if services is not None and services.pump is not None:
            services.pump.note(text)

    def abandon(self) -> None:
        """Leave every attempt as it is: the worker is closed, and the threads of its runs end."""
        for services in list(self._running.values()):
            if services is not None:
                if services.pump is not None:
                    services.pump.abandon()
                services.wake.set()

    def room_again(self) -> None:
        """Let every run go on that waits for room on a disk."""
        self._said.clear()
        for key in list(self._running):
            self.wake(key)

    def pull(self, key: int) -> PullProgress | None:
        """How far the pull of its image is, while it is pulled."""
        return self._pulls.get(key)

    def spooled(self, key: int) -> int | None:
        """Bytes of its log, while it is written."""
        services = self._running.get(key)
        return None if services is None else services.spool.written

    def kill_at(self, key: int) -> float | None:
        """When it is killed, in UTC seconds, while it is asked to stop."""
        services = self._running.get(key)
        return None if services is None else services.kill_at

    def again(self, key: int) -> RetryNotice | None:
        """Why what it is at is tried again, and when."""
        services = self._running.get(key)
        return self._held.get(key, None if services is None else services.again)

    @property
    def count(self) -> int:
        return len(self._running)

    @property
    def busy(self) -> bool:
        """Whether a run is here that this worker can bring to its end; what is held waits for another start of it."""
        keys = {row.key for row in self._runtime.active()} | self._running.keys()
        return not keys <= self._held.keys()

    def is_held(self, key: int) -> bool:
        """Whether its container is out of reach, on another engine than the one that answers now."""
        return key in self._held

    def _intend_asked(self, row: RunRow, intent: Intent, note: str) -> None:
        try:
            self.intend(row, intent, note)
        except JournalClosed:
            return
        except (OSError, sqlite3.Error) as error:
            words = f"{row.run_id} goes on, the {intent} could not be written down: {error}"
            self._runtime.notices.say(words, "error", run=row.run_id)
        finally:
            with self._lock:
                if self._asked.get(row.key) is intent:
                    del self._asked[row.key]

    def _serve(self, row: RunRow) -> None:
        runtime = self._runtime
        try:
            self._wait_for_predecessor(row)
            self._wait_for_room(row)
            if row.outcome is None:
                runtime.hooks.run_start(row)
            while not self._run(row):
                self._wait_to_go_on(row)
        except JournalClosed:
            return
        finally:
            self._leave(row)
            for wake in (runtime.wakes.beat, runtime.wakes.claim):
                wake.set()

    def _wait_to_go_on(self, row: RunRow) -> None:
        services = self._running.get(row.key)
        wake = threading.Event() if services is None else services.wake
        wake.clear()
        self._runtime.clock.wait(wake, _AGAIN_S)

    def _leave(self, row: RunRow) -> None:
        with self._lock:
            self._running.pop(row.key, None)
        self._filled.pop(row.key, None)
        self._pulls.pop(row.key, None)
        self._held.pop(row.key, None)
        self._said_held.discard(row.key)
        self._said.pop(row.key, None)
        if not any(other.run_id == row.run_id for other in self._runtime.active()):
            self._runtime.context.remove_running_op(row.run_id)

    def _run(self, row: RunRow) -> bool:
        """Run the pipeline once; whether the row is brought to its end."""
        runtime = self._runtime
        if row.backend not in runtime.pool:
            self._give_back(row)
            return True
        if self._out_of_reach(row):
            return False
        try:
            spool = LogSpool(
                runtime.state_dir.log_path(row.run_id, row.attempt, row.lease),
                runtime.settings.log_max_mb * MIB,
            )
            try:
                ctx = self._context(row, spool)
                runtime.pipeline.run(ctx)
            finally:
                self._close_output(row)
                spool.close()
        except AttemptElsewhere as error:
            self._hold(row, error)
        except Exception as error:
            self._tell(row, error)
            self._show(row, error)
        return self._over(row)

    def _out_of_reach(self, row: RunRow) -> bool:
        """Whether the attempt, which still has to end, is on another engine than the one that answers now."""
        now = self._runtime.journal.get(row.key) or row
        given_up = now.intent in (Intent.CANCEL, Intent.LOST)
        if now.handle is not None and now.exit is None and now.outcome is None and not given_up:
            try:
                self._runtime.pool[row.backend].state(now.handle)
            except AttemptElsewhere as error:
                self._hold(row, error)
                return True
            except BackendError:  # the pipeline waits for it, and says so
                pass
            else:
                self._said_held.discard(row.key)
        self._held.pop(row.key, None)
        return False

    def _hold(self, row: RunRow, error: AttemptElsewhere) -> None:
        """Nothing is done for the attempt, nor reported, until its engine is back or it is cancelled."""
        runtime = self._runtime
        if row.key not in self._said_held:
            self._said_held.add(row.key)
            runtime.notices.say(f"{row.run_id} is held: {error}", "warning", run=row.run_id, state="held")
        self._held[row.key] = RetryNotice(f"held: {error}", runtime.clock.utc().timestamp() + _AGAIN_S, held=True)

    def _close_output(self, row: RunRow) -> None:
        """So that nothing writes to the log beside the next run of the pipeline."""
        services = self._running.get(row.key)
        if services is not None and services.pump is not None:
            services.pump.leave(_LEAVE_S)

    def _tell(self, row: RunRow, error: Exception) -> None:
        """A backend's words are told with the run's end already; anything else comes with its traceback, as data."""
        services = self._running.get(row.key)
        if services is not None and services.lacks_room(error):
            words = f"{row.run_id} waits for room on a disk, its op goes on: {error}"
            if self._is_news(row, words):
                self._runtime.notices.say(words, "warning", run=row.run_id)
            return
        now = self._runtime.journal.get(row.key)
        if isinstance(error, BackendError) and (now is None or now.outcome is not None):
            return
        text = f"{row.run_id}: {_words(error)}"
        if self._is_news(row, text):
            trace = "".join(traceback.format_exception(error))
            self._runtime.notices.say(text, "error", run=row.run_id, traceback=trace)

    def _is_news(self, row: RunRow, words: str) -> bool:
        """Whether they are others than at the try before."""
        before, self._said[row.key] = self._said.get(row.key), words
        return words != before

    def _show(self, row: RunRow, error: Exception) -> None:
        """While the row is not at its end, for the pipeline will be run again."""
        services = self._running.get(row.key)
        if services is not None and not self._over(row):
            services.again = RetryNotice(_words(error), self._runtime.clock.utc().timestamp() + _AGAIN_S)

    def _over(self, row: RunRow) -> bool:
        now = self._runtime.journal.get(row.key)
        return now is None or not now.active

    def _give_back(self, row: RunRow) -> None:
        """Journaled by a start that ended before it could refuse the run, or that had more backends."""
        record = AttemptRecord(self._runtime, row, threading.Event())
        record.finish(Outcome.RELEASED, f"this worker has no backend for {row.run.image}", None)
        record.update(cleaned=True)

    def _context(self, row: RunRow, spool: LogSpool) -> ExecutionContext:
        runtime = self._runtime
        run = row.run
        wake = threading.Event()
        services = Services(
            backend=runtime.pool[row.backend],
            record=AttemptRecord(runtime, row, wake),
            pulls=runtime.pulls,
            spool=spool,
            place=runtime.state_dir,
            clock=runtime.clock,
            labels=labels(runtime, row),
            stop_grace_s=runtime.settings.stop_grace_s,
            gpu=runtime.admission.gpu_of(run.constraints),
            machine_fault=lambda: self._machine_fault(row),
            keep_logs=False,
            wake=wake,
            waits_for_room=True,
            filled_disk=lambda: self._filled.get(row.key, ""),
            on_pull=lambda progress: self._pulls.__setitem__(row.key, progress),
            warn=lambda words: runtime.notices.say(f"{run.id}: {words}", "warning", run=run.id),
        )
        with self._lock:
            self._running[row.key] = services
        self.wake(row.key)
        return ExecutionContext(
            oprun_id=run.id,
            image=run.image,
            constraints=run.constraints.model_dump(exclude_none=True),
            inputs=dict(run.inputs),
            volumes=dict(run.volumes),
            services=services,
        )

    def _machine_fault(self, row: RunRow) -> str | None:
        runtime = self._runtime
        gpu = runtime.admission.gpu_of(row.run.constraints)
        why = runtime.pool.fault(row.backend, Subject(ImageRef.parse(row.run.image).name, gpu))
        if why is not None:
            for wake in (runtime.wakes.beat, runtime.wakes.claim, runtime.wakes.reconcile):
                wake.set()
        return why

    def _wait_for_predecessor(self, row: RunRow) -> None:
        """An older attempt of the same run is stopped first: never two containers of one run."""
        runtime = self._runtime
        while older := [r for r in runtime.active() if r.run_id == row.run_id and r.key < row.key]:
            for other in older:
                self.intend(other, Intent.LOST, "the server has a newer attempt")
            runtime.clock.wait(threading.Event(), _LOOK_S)

    def _wait_for_room(self, row: RunRow) -> None:
        """Until the runs are cleaned up that have ended and still have what this one needs, or it is not wanted."""
        runtime = self._runtime
        while (now := runtime.journal.get(row.key)) and (now.handle, now.outcome, now.intent) == _NOT_BEGUN:
            before = [other for other in runtime.active() if other.key < row.key]
            if all(other.outcome is None for other in before) or not runtime.admission.lacks(row.run, before):
                return
            runtime.clock.wait(threading.Event(), _LOOK_S)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def labels(runtime: Runtime, row: RunRow) -> dict[str, str]:
    """What containers of this attempt carry."""
    return {
        Label.WORKER: runtime.context.worker_id,
        Label.INSTANCE: runtime.state_dir.instance_id,
        Label.SERVER: row.server_id,
        Label.RUN: row.run_id,
        Label.ATTEMPT: str(row.attempt),
        Label.LEASE: row.lease or "",
    }
