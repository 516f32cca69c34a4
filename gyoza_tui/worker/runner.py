"""Worker main loop.

Each duty runs in a thread of its own, and so does each claimed run. One thread waits for signals and for the end:
headless the main one, with a screen another.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from gyoza_tui import __version__
from gyoza_tui.backends.base import Backend
from gyoza_tui.backends.docker import docker_config
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock, SystemClock
from gyoza_tui.server_access import client_of
from gyoza_tui.settings import Settings, SettingsError, load
from gyoza_tui.worker import worker_context
from gyoza_tui.worker.building import all_backends, backend_options
from gyoza_tui.worker.duties.choice import chosen_duties
from gyoza_tui.worker.duties.claim import Claim
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.hooks import Hooks
from gyoza_tui.worker.journal.file import JournalError
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.monitoring.monitoring import Monitoring
from gyoza_tui.worker.parts import Parts
from gyoza_tui.worker.session import Bounds
from gyoza_tui.worker.shutdown import EXIT_DONE, EXIT_FAILED
from gyoza_tui.worker.state_dir.state_dir import StateDir, StateDirError

if TYPE_CHECKING:
    from gyoza_tui.metrics_endpoint import MetricsEndpoint


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
        new_journal: bool = False,
        pipeline: Pipeline | None = None,
        backends: Mapping[str, Backend] | None = None,
        client: GyozaClient | None = None,
        clock: Clock | None = None,
        hooks: Hooks | None = None,
        bounds: Bounds | None = None,
        duties: Collection[str] | None = None,
        is_service: bool = False,
        read_settings: Callable[[], Settings] | None = None,
    ) -> None:
        """`is_service`: this process is there for the worker, and its service manager is told how it does.

        `read_settings` reads the settings again, when a person asks for that. Raises SettingsError.
        """
        clock = clock or SystemClock()
        bounds = bounds or Bounds()
        chosen = _chosen(duties, bounds)
        self._code: int | None = None
        self._new_journal = new_journal
        self._is_service = is_service
        with ExitStack() as opened:
            state_dir = state_dir or StateDir.open(settings.state_dir, settings.worker_id)
            opened.callback(state_dir.close)
            journal_file = state_dir.journal
            own_backends, own_client = backends is None, client is None
            backends = _made_backends(settings, state_dir) if backends is None else backends
            client = client_of(settings) if client is None else client
            journal = state_dir.reserve.in_room(lambda: Journal(journal_file, clock, new=new_journal))
            opened.callback(journal.close)
            self.parts = Parts(
                settings,
                clock,
                state_dir,
                journal,
                client,
                backends,
                pipeline=pipeline or Pipeline(),
                hooks=hooks or Hooks(),
                bounds=bounds,
                duties=chosen,
                read_settings=read_settings,
            )
            self.slots, self.duties = self.parts.slots, self.parts.duties
            if own_client:
                opened.callback(client.close)
            if own_backends:
                opened.callback(self._close_backends)
            self._metrics = _listening(settings.metrics_port, self.parts.monitoring)
            opened.callback(self._finish)
            if self._metrics is not None:
                opened.callback(self._metrics.close)
            self._opened = opened.pop_all()
        self.control, self.signals, self.printer = self.parts.control, self.parts.signals, self.parts.printer
        worker_context.worker_context = self.parts.context

    def run(self, ticks: int | None = None) -> int:
        """Serve without a screen until a signal, the control or a bound ends it; the exit code. In the main thread.

        With `ticks` no duty has a thread: so many passes of them, one after another, and out.
        """
        bounds = self.parts.session.bounds
        return self._run_within(bounds if ticks is None else bounds._replace(ticks=ticks))

    def run_one(self, run_id: str, max_seconds: float | None = None) -> int:
        """Claim that run alone and end with it: 0 when it has completed."""
        return self._run_as_guest(Bounds(run_id=run_id, max_seconds=max_seconds))

    def run_all(self, max_seconds: float | None = None) -> int:
        """Until nothing is queued that this worker could take: 0 when no run was left failed."""
        return self._run_as_guest(Bounds(until_empty=True, max_seconds=max_seconds))

    def serve(self) -> int:
        """Wait for the end and bring it about; the exit code. From any thread, once, after `begin`."""
        shutdown, session = self.parts.shutdown, self.parts.session
        ticks = session.bounds.ticks
        code = shutdown.wait() if ticks is None else shutdown.turn(self.duties, ticks)
        if session.bounded and code == EXIT_DONE and not self._went_well():
            code = EXIT_FAILED
        self._code = code
        self.parts.hooks.stop(code)
        return code

    def close(self) -> None:
        """The last act, from any thread: runs stay as they are for the next start, the lock is let go.

        Returns without waiting for the worker's threads; each ends by itself once what it waits for has answered.
        """
        self._opened.close()

    def _finish(self) -> None:
        self.parts.service_manager.stopping()
        self.parts.control_socket.stop(self.parts.ending.words)
        self.parts.op_channel.stop()
        self.parts.keeper.stop()
        self.parts.waiting_runs.stop()
        for duty in self.duties:
            duty.stop()
            duty.close()
        if self.parts.session.bounded:
            text, fields = self.parts.session.summary(len(self.parts.journal.active()))
            self.parts.notices.say(text, **fields)
        if self._code is not None:
            self.parts.notices.say("bye", exit=self._code)
        with suppress(OSError, sqlite3.Error):
            self.parts.wanted.save()
        self.parts.log.finish()
        self.printer.finish()
        self.parts.journal.close()
        self.slots.abandon()

    def _close_backends(self) -> None:
        """Unless a run still uses one: the error that it would get must not end that run."""
        if not self.slots.count:
            self.parts.pool.close()

    def begin(self, first_beat_s: float = 0.0) -> None:
        """Adopt what a former start left, and start the duties.

        Returns at once, for nothing here asks the network; only a new journal makes it look at the engines first. The
        first beat waits `first_beat_s` seconds or until it is woken, for a screen to be drawn first.
        """
        parts = self.parts
        self.parts.heartbeat.first_s = first_beat_s
        self.printer.start()
        self.parts.log.start()
        parts.session.begin()
        parts.notices.say(
            f"gyoza-tui {__version__}: worker {parts.context.worker_id}, server {parts.client.base_url}, "
            f"{parts.capacity.max_runs} runs at once",
            worker=parts.context.worker_id,
            server=parts.client.base_url,
        )
        for warning in parts.settings.warnings:
            parts.notices.say(warning, "warning")
        if host := parts.settings.key_in_clear_to:
            parts.notices.say(f"the key goes unencrypted to {host}: name it by https://", "warning")
        if logins := docker_config.trouble(os.environ):
            parts.notices.say(logins, "warning")
        if not parts.session.claims:
            parts.mode.pause(True)
        if self._new_journal:
            self.parts.reconcile.sweep_now()
        for row in parts.journal.active():
            if row.handle is not None and row.outcome is None:
                parts.notices.say(f"{row.run_id} adopted", run=row.run_id, attempt=row.attempt, state="adopted")
                with suppress(OSError, sqlite3.Error):  # a full disk must not keep a worker from starting
                    parts.journal.update(row.key, adopted=True)
            self.slots.start(row)
        parts.waiting_runs.start()
        if self._metrics is not None:
            parts.notices.say(f"metrics at {self._metrics.url}")
            self._metrics.start()
        if self._is_service:
            parts.service_manager.ready()
        parts.hooks.start()
        if parts.session.bounds.ticks is None:
            self._listen()
            for duty in self.duties:
                duty.start()
            self.parts.keeper.start()

    def _listen(self) -> None:
        """To cockpits; a worker that cannot goes on without them."""
        try:
            self.parts.control_socket.start()
        except OSError as error:
            self.parts.notices.say(f"nobody can attach to this worker: {error.strerror or error}", "warning")

    def _run_within(self, bounds: Bounds) -> int:
        _chosen([duty.name for duty in self.duties], bounds)
        self.parts.session.bounds = bounds
        self.signals.install()
        try:
            self.begin()
            return self.serve()
        finally:
            self.close()

    def _run_as_guest(self, bounds: Bounds) -> int:
        """In a program that goes on afterwards."""
        try:
            return self._run_within(bounds)
        finally:
            self.signals.restore()

    def _went_well(self) -> bool:
        """Of a bounded session: its runs, and that there was a server at all."""
        reached = self.parts.link.state.beat_at is not None or self.parts.heartbeat not in self.duties
        return reached and self.parts.session.went_well


def _made_backends(settings: Settings, state_dir: StateDir) -> dict[str, Backend]:
    try:
        return all_backends(backend_options(settings, state_dir.root, state_dir.instance_id))
    except ValueError as error:
        raise WorkerError(str(error)) from None


def _listening(address: str | None, monitoring: Monitoring) -> MetricsEndpoint | None:
    if address is None:
        return None
    try:
        return monitoring.endpoint(address)
    except OSError as error:
        raise WorkerError(f"--metrics-port {address} cannot be listened on: {error.strerror or error}") from None


def _chosen(duties: Collection[str] | None, bounds: Bounds) -> frozenset[str]:
    try:
        chosen = chosen_duties(duties)
    except ValueError as error:
        raise WorkerError(str(error)) from None
    if bounds.run_id is not None and Claim.name not in chosen:
        raise WorkerError("a session for one run needs the duty claim")
    return chosen


def start() -> None:
    """Start the worker heartbeat and execution loop.

    Blocks until interrupted with Ctrl-C or a signal; does not return: the process ends with the worker.
    """
    try:
        code = Worker(load(), is_service=True, read_settings=load).run()
    except (SettingsError, WorkerError, StateDirError, JournalError) as error:
        print(error, file=sys.stderr)
        code = 2
    os._exit(code)
