"""Which runs have a thread, and how others reach it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from gyoza_tui.backends.base import PullProgress
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.slots.gate import Gate
from gyoza_tui.worker.slots.machine import Machine
from gyoza_tui.worker.slots.slot import Slot, is_over
from gyoza_tui.worker.slots.turn import Turn
from gyoza_tui.worker.wakes import Wakes
from gyoza_tui.worker.worker_context.types import WorkerContext

_REFUSED_S: Final = 60.0
"""Longer than a run is on record before its refusal is."""


class Slots:
    """One thread per run that is here. Thread-safe."""

    def __init__(
        self,
        clock: Clock,
        journal: Journal,
        context: WorkerContext,
        wakes: Wakes,
        machine: Machine,
        turn: Turn,
        gate: Gate,
        make_slot: Callable[[RunRow, Callable[[], str]], Slot],
    ) -> None:
        """`make_slot` is given the row, and what says how its run filled a disk."""
        self._clock = clock
        self._journal = journal
        self._context = context
        self._wakes = wakes
        self._machine = machine
        self._turn = turn
        self._gate = gate
        self._make_slot = make_slot
        self._lock = threading.Lock()
        self._slots: dict[int, Slot] = {}
        self._filled: dict[int, str] = {}
        """How runs filled a disk that are stopped for it: the disk may have no room to journal that."""

    def start(self, row: RunRow) -> None:
        """Run the pipeline for the row in a thread of its own; once per row."""
        with self._lock:
            # its own thread may just have ended it
            if row.key in self._slots or is_over(self._journal, row):
                return
            slot = self._make_slot(row, lambda: self._filled.get(row.key, ""))
            self._slots[row.key] = slot
        run = row.run
        self._context.add_running_op(run.id, run.image, run.inputs, run.constraints.model_dump(exclude_none=True))
        try:
            threading.Thread(target=self._serve, args=(slot,), name=f"run-{row.run_id[:8]}", daemon=True).start()
        except RuntimeError:  # as many threads as there may be: reconcile tries again
            self._leave(row)
            raise

    def start_what_waits(self) -> None:
        """Start rows that have no thread, because none could be made when they were taken.

        One that is just being refused has no backend, and needs no thread; unless its refusal could not be written.
        """
        now = self._clock.utc().timestamp()
        for row in self._journal.active():
            if self._machine.has_backend(row) or now - row.claimed_at > _REFUSED_S:
                self.start(row)

    def intend(self, row: RunRow, intent: Intent, note: str, *, by_server: bool = False) -> bool:
        """Journal the intent, then wake the thread that acts on it; whether it was news."""
        news = self._journal.intend(row.key, intent, note, by_server=by_server)
        if news:
            self.wake(row.key)
        return news

    def filled_disk(self, row: RunRow, words: str) -> None:
        """What its end is reported with, once the run is stopped for that."""
        self._filled[row.key] = words

    def wake(self, key: int) -> None:
        """Let the run's thread look at its row again."""
        slot = self._slots.get(key)
        if slot is not None:
            slot.wake()
        self._gate.wake(key)

    def note(self, key: int, text: str) -> None:
        """Put a line of ours into its log, while it is written."""
        services = self._services(key)
        if services is not None and services.pump is not None:
            services.pump.note(text)

    def abandon(self) -> None:
        """Leave every attempt as it is: the worker is closed, and the threads of its runs end."""
        for slot in list(self._slots.values()):
            slot.abandon()
        self._gate.wake_all()

    def room_again(self) -> None:
        """Let every run go on that waits for room on a disk."""
        for slot in list(self._slots.values()):
            slot.forget_trouble()
            slot.wake()

    def pull(self, key: int) -> PullProgress | None:
        """How far the pull of its image is, while it is pulled."""
        slot = self._slots.get(key)
        return None if slot is None else slot.pull

    def spooled(self, key: int) -> int | None:
        """Bytes of its log, while it is written."""
        services = self._services(key)
        return None if services is None else services.spool.written

    def kill_at(self, key: int) -> float | None:
        """When it is killed, in UTC seconds, while it is asked to stop."""
        services = self._services(key)
        return None if services is None else services.kill_at

    def again(self, key: int) -> RetryNotice | None:
        """Why what it is at is tried again, and when."""
        slot = self._slots.get(key)
        return None if slot is None else slot.again

    @property
    def count(self) -> int:
        return len(self._slots)

    @property
    def busy(self) -> bool:
        """Whether a run is here that this worker can bring to its end; what is held waits for another start of it."""
        keys = {row.key for row in self._journal.active()} | self._slots.keys()
        return not all(self.is_held(key) for key in keys)

    def is_held(self, key: int) -> bool:
        """Whether its container is out of reach, on another engine than the one that answers now."""
        slot = self._slots.get(key)
        return slot is not None and slot.is_held

    def _services(self, key: int) -> Services | None:
        slot = self._slots.get(key)
        return None if slot is None else slot.services

    def _serve(self, slot: Slot) -> None:
        row = slot.row
        try:
            if self._machine.has_backend(row):
                self._turn.wait_for(row, self.intend)
            slot.bring_to_end()
        except JournalClosed:
            return
        finally:
            self._leave(row)
            for wake in (self._wakes.beat, self._wakes.claim):
                wake.set()

    def _leave(self, row: RunRow) -> None:
        with self._lock:
            self._slots.pop(row.key, None)
        self._filled.pop(row.key, None)
        self._gate.look()
        if not any(other.run_id == row.run_id for other in self._journal.active()):
            self._context.remove_running_op(row.run_id)
