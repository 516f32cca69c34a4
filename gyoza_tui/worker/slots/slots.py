"""Which runs have a slot, and how others reach the thread of one."""

from __future__ import annotations

import threading
from typing import Final

from gyoza_tui.backends.base import PullProgress
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots.slot import Slot, is_over
from gyoza_tui.worker.slots.turn import wait_for_turn

_REFUSED_S: Final = 60.0
"""Longer than a run is on record before its refusal is."""


class Slots:
    """One thread per run at work. Thread-safe."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._slots: dict[int, Slot] = {}
        self._filled: dict[int, str] = {}
        """How runs filled a disk that are stopped for it: the disk may have no room to journal that."""

    def start(self, row: RunRow) -> None:
        """Run the pipeline for the row in a thread of its own; once per row."""
        with self._lock:
            # its own thread may just have ended it
            if row.key in self._slots or is_over(self._runtime.journal, row):
                return
            slot = Slot(self._runtime, row, lambda: self._filled.get(row.key, ""))
            self._slots[row.key] = slot
        run = row.run
        self._runtime.context.add_running_op(
            run.id, run.image, run.inputs, run.constraints.model_dump(exclude_none=True)
        )
        try:
            threading.Thread(target=self._serve, args=(slot,), name=f"run-{row.run_id[:8]}", daemon=True).start()
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

    def filled_disk(self, row: RunRow, words: str) -> None:
        """What its end is reported with, once the run is stopped for that."""
        self._filled[row.key] = words

    def wake(self, key: int) -> None:
        """Let the run's thread look at its row again."""
        slot = self._slots.get(key)
        if slot is not None:
            slot.wake()

    def note(self, key: int, text: str) -> None:
        """Put a line of ours into its log, while it is written."""
        services = self._services(key)
        if services is not None and services.pump is not None:
            services.pump.note(text)

    def abandon(self) -> None:
        """Leave every attempt as it is: the worker is closed, and the threads of its runs end."""
        for slot in list(self._slots.values()):
            slot.abandon()

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
        keys = {row.key for row in self._runtime.active()} | self._slots.keys()
        return not all(self.is_held(key) for key in keys)

    def is_held(self, key: int) -> bool:
        """Whether its container is out of reach, on another engine than the one that answers now."""
        slot = self._slots.get(key)
        return slot is not None and slot.is_held

    def _services(self, key: int) -> Services | None:
        slot = self._slots.get(key)
        return None if slot is None else slot.services

    def _serve(self, slot: Slot) -> None:
        runtime, row = self._runtime, slot.row
        try:
            wait_for_turn(runtime, row, self.intend)
            slot.bring_to_end()
        except JournalClosed:
            return
        finally:
            self._leave(row)
            for wake in (runtime.wakes.beat, runtime.wakes.claim):
                wake.set()

    def _leave(self, row: RunRow) -> None:
        with self._lock:
            self._slots.pop(row.key, None)
        self._filled.pop(row.key, None)
        if not any(other.run_id == row.run_id for other in self._runtime.active()):
            self._runtime.context.remove_running_op(row.run_id)
