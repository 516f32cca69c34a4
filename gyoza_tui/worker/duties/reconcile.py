"""Compare what should be with what is: backends, engine, history, and a server that says little by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from gyoza_tui.backends.base import Backend, BackendError, FoundAttempt, Label
from gyoza_tui.client.answers import error_code
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.retention import Retention
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir import orphans

INTERVAL_S: Final = 5.0
SWEEP_S: Final = 60.0
_PROBE_PAUSE_S: Final = 0.1
_REPORTED_MAX: Final = 256


class Reconcile(Duty):
    name = "reconcile"
    first_s = 1.0
    """For the first beat: an engine's library takes longer to load than the worker to be heard of."""

    def __init__(self, runtime: Runtime, slots: Slots) -> None:
        super().__init__(runtime.clock, runtime.notices, runtime.wakes.reconcile)
        runtime.link.wakes(runtime.wakes.reconcile)
        self._runtime = runtime
        self._slots = slots
        self._retention = Retention(runtime.journal, runtime.state_dir, runtime.clock, runtime.settings)
        self._swept_at: dict[str, float] = {}
        self._reported: set[str] = set()

    def tick(self) -> float:
        runtime = self._runtime
        self._slots.start_what_waits()
        if runtime.pool.check():
            runtime.wakes.beat.set()
            runtime.wakes.claim.set()
        for name in runtime.pool.answering:
            if self._clock.boot() - self._swept_at.get(name, -SWEEP_S) >= SWEEP_S:
                self._sweep(runtime.pool[name])
                self._retention.prune()
                self._forget_directories()
            self._look_for_frozen(runtime.pool[name])
        if runtime.link.state.registered and runtime.link.state.protocol is None:
            self._ask_for_runs()
            return min(INTERVAL_S, runtime.link.state.heartbeat_s)
        return min(INTERVAL_S, max(_PROBE_PAUSE_S, runtime.pool.next_probe_s()))

    def _look_for_frozen(self, backend: Backend) -> None:
        """Record and report which containers were paused from outside, or go on again."""
        rows = [row for row in self._runtime.active() if row.backend == backend.name and row.started_at is not None]
        here = [row for row in rows if not self._slots.is_held(row.key)]
        running = [row for row in here if row.exit is None and row.outcome is None]
        if not running:
            return
        with self._reporting(f"{backend.name}: what is paused there is not known"):
            frozen = backend.frozen(self._ours())
            for row in running:
                if (row.name in frozen) != (row.frozen_since is not None):
                    self._froze(row, row.name in frozen)

    def _froze(self, row: RunRow, frozen: bool) -> None:
        now = self._runtime.clock.utc()
        self._runtime.journal.update(row.key, frozen_since=now.timestamp() if frozen else None)
        text = "was paused from outside" if frozen else "goes on; it had been paused from outside"
        self._slots.note(row.key, f"{now:%H:%M:%S} UTC: the container {text}")
        self._runtime.notices.say(
            f"{row.run_id}: its container {text}", "warning" if frozen else "info", run=row.run_id
        )

    def sweep_now(self) -> None:
        """Before the first claim with a new journal: containers that it does not know are given back."""
        for _, backend in self._runtime.pool.items():
            self._sweep(backend)

    def _sweep(self, backend: Backend) -> None:
        """What carries our labels and belongs to no row that is at work, or to a process that died without a journal,
        is stopped and removed. One attempt that cannot be hides no other."""
        runtime = self._runtime
        ours = self._ours()
        named: dict[str, str] = {Label.WORKER: runtime.context.worker_id}
        with self._reporting(f"{backend.name}: what is left there is not known"):
            found = backend.find(named)
            self._swept_at[backend.name] = self._clock.boot()
            active = {row.name for row in runtime.active()}
            for stray in found:
                if stray.name not in active:
                    with self._reporting(f"{stray.name} is left on {backend.name}"):
                        self._settle(backend, stray, ours)
        with self._reporting(f"{backend.name}: what it no longer needs is not removed"):
            backend.prune(ours)

    def _ours(self) -> dict[str, str]:
        return {
            Label.WORKER: self._runtime.context.worker_id,
            Label.INSTANCE: self._runtime.state_dir.instance_id,
        }

    def _settle(self, backend: Backend, stray: FoundAttempt, ours: Mapping[str, str]) -> None:
        if orphans.orphaned(stray):
            self._remove(backend, stray, "left by a process that was killed")
        elif stray.trouble is not None:
            self._settle_unreadable(backend, stray, stray.trouble)
        elif ours.items() <= stray.labels.items() and orphans.is_ours(stray):
            if self._runtime.journal.known(stray.name):
                self._remove(backend, stray, "left from an ended run")
            else:
                self._give_back(backend, stray)

    def _settle_unreadable(self, backend: Backend, stray: FoundAttempt, trouble: str) -> None:
        """Its name is all that is known of it: that of a run that has ended here, or of something unknown."""
        if self._runtime.journal.known(stray.name):
            self._remove(backend, stray, "left from an ended run")
        else:
            self._report_once(
                f"{stray.name} on {backend.name} is left as it is: {trouble}. Remove it if nothing there is needed"
            )

    @contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """A backend's error ends what is done here, and is reported."""
        try:
            yield
        except BackendError as error:
            self._report_once(f"{what}: {error}; it is tried again within {SWEEP_S:g} s")

    def _report_once(self, text: str) -> None:
        if text not in self._reported:
            if len(self._reported) >= _REPORTED_MAX:
                self._reported.clear()
            self._reported.add(text)
            self._runtime.notices.say(text, "warning")

    def _remove(self, backend: Backend, stray: FoundAttempt, why: str) -> None:
        orphans.remove(backend, stray, self._runtime.settings.stop_grace_s)
        self._runtime.notices.say(f"removed {stray.name}, {why}", backend=backend.name)

    def _give_back(self, backend: Backend, stray: FoundAttempt) -> None:
        """A container of ours without a row, as after --new-journal: its labels say whose it is."""
        runtime, labels = self._runtime, stray.labels
        run = OpRun(
            id=labels[Label.RUN],
            image="unknown",
            attempt=int(labels[Label.ATTEMPT]),
            lease=labels.get(Label.LEASE) or None,
        )
        row = runtime.journal.take(
            labels.get(Label.SERVER, ""),
            run,
            backend.name,
            create_asked=True,
            handle=stray.handle,
            start_asked=True,
            started_acked=True,
            intent=Intent.RELEASE,
            intent_note="this worker's journal no longer knew it",
        )
        runtime.notices.say(f"{run.id}: found without a journal row; stopping it and giving it back", "warning")
        self._slots.start(row)

    def _forget_directories(self) -> None:
        names = self._runtime.state_dir.run_dirs()
        active = {row.name for row in self._runtime.active()}
        for name in names:
            if name not in active:
                with contextlib.suppress(OSError):  # told when its run was cleaned up
                    self._runtime.state_dir.remove_run_dir(name)

    def _ask_for_runs(self) -> None:
        """For a server whose beats answer nothing about runs."""
        trouble: httpx.HTTPStatusError | None = None
        for row in self._runtime.reportable():
            if row.acked:
                continue
            try:
                now = self._runtime.client.get_run(row.run_id, events=False)
            except httpx.HTTPStatusError as error:
                # one run's trouble must not hide a cancel of the next
                trouble = error
                if error_code(error) == ErrorCode.RUN_UNKNOWN and not row.started_acked:
                    self._slots.intend(row, Intent.LOST, "the server does not know it, and nothing was done")
            else:
                self._runtime.context.set_run_state(row.run_id, now.state)
                self._judge(row, now)
        if trouble is not None and error_code(trouble) != ErrorCode.RUN_UNKNOWN:
            raise trouble

    def _judge(self, row: RunRow, now: OpRun) -> None:
        if now.current_attempt > row.attempt or now.worker_id not in (None, self._runtime.context.worker_id):
            self._slots.intend(row, Intent.LOST, "the server gave it to another")
        elif now.state is RunState.CANCELLED:
            self._slots.intend(row, Intent.CANCEL, "cancelled at the server", by_server=True)
