"""Worker main loop.

The heartbeat, claim, deliver, reconcile and sample duties run in threads of their own, each claimed run in another. One
thread waits for signals and for the end: headless the main one, with a screen another.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import suppress

from gyoza_tui import __version__
from gyoza_tui.backends.base import Backend
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock, SystemClock
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.settings import Settings, SettingsError, load, unknown_in_environment
from gyoza_tui.worker import worker_context
from gyoza_tui.worker.admission import Admission, Reserve
from gyoza_tui.worker.assembly import all_backends, backend_options, image_pulls
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.duties.claim import Claim
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.duty import Duty, Keeper
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.duties.heed import Heed
from gyoza_tui.worker.duties.reconcile import Reconcile
from gyoza_tui.worker.duties.sample import Sample
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.hardware.detect import detect_resources
from gyoza_tui.worker.hardware.sampler import History, Sampler
from gyoza_tui.worker.headless import Printer
from gyoza_tui.worker.journal import Journal
from gyoza_tui.worker.journal_file import JournalError
from gyoza_tui.worker.link import ServerLink
from gyoza_tui.worker.local_control import LocalControl
from gyoza_tui.worker.mode import Mode
from gyoza_tui.worker.notices import Notices
from gyoza_tui.worker.runtime import Runtime, Wakes
from gyoza_tui.worker.shutdown import Shutdown, Signals
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir import StateDir, StateDirError
from gyoza_tui.worker.worker_context.types import WorkerContext
from gyoza_tui.worker.worker_log import WorkerLog


class WorkerError(Exception):
    """A worker that cannot start; `str()` says why and what to do."""


class Worker:
    """One worker. Making it takes the state directory and reads the journal; nothing of it runs before `begin`.

    `run` is all of it without a screen. With one: `signals.install()` in the main thread, `printer.pause()`, `begin()`,
    then `serve()` in a thread beside the screen, and `close()` when it has returned.

    Raises WorkerError, StateDirError or JournalError, each in words.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        state_dir: StateDir | None = None,
        api_key: str | None = None,
        new_journal: bool = False,
        pipeline: Pipeline | None = None,
        backends: Mapping[str, Backend] | None = None,
        client: GyozaClient | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.signals = Signals()
        self._closed = False
        self._new_journal = new_journal
        state_dir = state_dir or StateDir.open(settings.state_dir, settings.worker_id)
        notices = Notices(clock)
        self.printer = Printer(notices, settings.log_format)
        self._log = WorkerLog(notices, state_dir.worker_log)
        wakes = Wakes()
        if backends is None:
            backends = _made_backends(settings, state_dir)
        pool = BackendPool(backends, notices)
        mode = Mode(wakes.beat.set)
        history = History()
        detected = detect_resources()
        self._sampler = Sampler(clock)
        self.runtime = Runtime(
            settings=settings,
            state_dir=state_dir,
            clock=clock,
            client=client or GyozaClient(settings.server_url, api_key or settings.key()),
            journal=Journal(state_dir.journal, clock, new=new_journal),
            link=ServerLink(clock, notices, settings.heartbeat_s),
            mode=mode,
            pool=pool,
            admission=Admission(detected, lambda: _gpus(history), _reserve(settings), settings.max_runs, pool, mode),
            pulls=image_pulls(settings, clock),
            pipeline=pipeline or Pipeline(),
            context=WorkerContext(worker_id=settings.worker_id, resources=detected, tags=list(settings.tags)),
            notices=notices,
            history=history,
            wakes=wakes,
        )
        notices.hide(self._secrets)
        self.slots = Slots(self.runtime)
        heed = Heed(self.runtime, self.slots)
        self._heartbeat = Heartbeat(self.runtime, heed)
        self._deliver = Deliver(self.runtime, self.slots)
        self._reconcile = Reconcile(self.runtime, self.slots)
        claim = Claim(self.runtime, self.slots)
        sample = Sample(self.runtime, self._sampler)
        self.duties: list[Duty] = [self._heartbeat, heed, claim, self._deliver, self._reconcile, sample]
        self._keeper = Keeper(self.duties)
        self.control = LocalControl(self.runtime, self.slots, self.duties)
        worker_context.worker_context = self.runtime.context

    def run(self) -> int:
        """Serve without a screen until a signal or the control ends it; the exit code. Call it in the main thread."""
        self.signals.install()
        try:
            self.begin()
            return self.serve()
        finally:
            self.close()

    def serve(self) -> int:
        """Wait for the end and bring it about; the exit code. From any thread, once, after `begin`."""
        code = self.shutdown().wait()
        self.runtime.notices.say("bye", exit=code)
        return code

    def close(self) -> None:
        """The last act: the journal is closed, the lock let go. Threads still at work end with the process."""
        if self._closed:
            return
        self._closed = True
        self._keeper.stop()
        for duty in self.duties:
            duty.stop()
        self._log.finish()
        self.printer.finish()
        self.runtime.journal.close()
        self.runtime.state_dir.close()

    def shutdown(self) -> Shutdown:
        """What waits for the end of this worker."""
        return Shutdown(self.runtime, self.slots, self.control, self._heartbeat, self._deliver, self.signals)

    def begin(self) -> None:
        """Adopt what a former start left, and start the duties.

        Returns at once, for nothing here asks the network; only a new journal makes it look at the engines first.
        """
        runtime = self.runtime
        self.printer.start()
        self._log.start()
        runtime.notices.say(
            f"gyoza-tui {__version__}: worker {runtime.context.worker_id}, server {runtime.client.base_url}, "
            f"{runtime.admission.max_runs} runs at once",
            worker=runtime.context.worker_id,
            server=runtime.client.base_url,
        )
        for warning in unknown_in_environment():
            runtime.notices.say(warning, "warning")
        if self._new_journal:
            self._reconcile.sweep_now()
        for row in runtime.active():
            if row.handle is not None and row.outcome is None:
                runtime.notices.say(f"{row.run_id} adopted", run=row.run_id, attempt=row.attempt, state="adopted")
                with suppress(OSError, sqlite3.Error):  # a full disk must not keep a worker from starting
                    runtime.journal.update(row.key, adopted=True)
            self.slots.start(row)
        for duty in self.duties:
            duty.start()
        self._keeper.start()

    def _secrets(self) -> list[str]:
        return [value for row in self.runtime.journal.rows() for value in row.run.secret_env.values()]


def _made_backends(settings: Settings, state_dir: StateDir) -> dict[str, Backend]:
    try:
        return all_backends(backend_options(settings, state_dir.root, state_dir.instance_id))
    except ValueError as error:
        state_dir.close()
        raise WorkerError(str(error)) from None


def _gpus(history: History) -> tuple[GpuInfo, ...]:
    latest = history.latest()
    return tuple(gpu.info for gpu in latest.gpus) if latest else ()


def _reserve(settings: Settings) -> Reserve:
    return Reserve(settings.reserve_cpu, settings.reserve_ram_mb, settings.reserve_vram_mb)


def start() -> None:
    """Start the worker heartbeat and execution loop.

    Blocks until interrupted with Ctrl-C or a signal; does not return: the process ends with the worker.
    """
    try:
        code = Worker(load()).run()
    except (SettingsError, WorkerError, StateDirError, JournalError) as error:
        print(error, file=sys.stderr)
        code = 2
    os._exit(code)
