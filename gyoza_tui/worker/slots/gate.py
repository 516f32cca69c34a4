"""The gate: a run takes a slot before it begins, and again before it goes on after it has waited for its children."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow

_LOOK_S: Final = 5.0
"""How often a run looks by itself whether there is room for it: for what changes without a word, as GPUs and cores."""

PATIENCE_S: Final = 300.0
"""How long a claimed run stays at the gate: parents that came back may be at work for days, and others have room."""


class Gate:
    """Lets in parents that return first, then claimed runs in the order of their claims. Thread-safe.

    A slot is given up by waiting, or by an outcome in the journal: not only once all is cleaned up. Nothing passes the
    first that finds no room, so a run that needs much is not passed for ever. Every run that is let in ends or waits.
    """

    def __init__(self, clock: Clock, journal: Journal, admission: Admission) -> None:
        self._clock = clock
        self._journal = journal
        self._admission = admission
        self._lock = threading.Lock()
        self._inside = {row.key for row in journal.active() if row.step and row.awake}
        self._returning: dict[int, Callable[[], None]] = {}
        """In the order in which they came back, and what lets each go on."""
        self._claimed: dict[int, threading.Event] = {}
        """Runs at the gate that have not begun, and what wakes each."""

    @property
    def taken(self) -> int:
        """Slots that no claim can count on: of awake runs, of returning ones, and of those that are cleaned up."""
        with self._lock:
            let_in = self._inside | self._returning.keys()
        return sum(row.awake or row.key in let_in for row in self._journal.active())

    def is_returning(self, key: int) -> bool:
        """Whether it is at the gate, to go on after it has waited."""
        return key in self._returning

    def enter(self, row: RunRow, give_back: Callable[[], object] = lambda: None) -> None:
        """Return once the run has a slot, or does not begin: it has begun before, or is not wanted any more.

        `give_back` is called when there was no slot for it for five minutes. Raises JournalClosed.
        """
        if not self._waits(row.key):
            return
        woken = threading.Event()
        until = self._clock.boot() + PATIENCE_S
        with self._lock:
            self._claimed[row.key] = woken
        try:
            while self._waits(row.key):
                woken.clear()
                self.look()
                if self._waits(row.key):
                    self._clock.wait(woken, _LOOK_S)
                if self._clock.boot() >= until and self._waits(row.key):
                    give_back()
        finally:
            with self._lock:
                del self._claimed[row.key]
            self.look()

    def come_back(self, key: int, let_in: Callable[[], None]) -> None:
        """Call `let_in` once the parent has a slot again; never when it ends before, or is to be stopped."""
        with self._lock:
            self._returning[key] = let_in
        self.look()

    def come_in(self, key: int) -> None:
        """The run is awake, whether there is room or not."""
        with self._lock:
            self._returning.pop(key, None)
            self._inside.add(key)

    def leave(self, key: int) -> None:
        """Its row says that it waits."""
        with self._lock:
            self._inside.discard(key)
        self.look()

    def look(self) -> None:
        """Let in all that there is room for now."""
        with self._lock:
            returned = self._let_in()
        for let_in in returned:
            let_in()

    def wake(self, key: int) -> None:
        """Let the thread that is at the gate for the run look at its row again."""
        woken = self._claimed.get(key)
        if woken is not None:
            woken.set()

    def wake_all(self) -> None:
        for key in list(self._claimed):
            self.wake(key)

    def _let_in(self) -> list[Callable[[], None]]:
        awake = [row for row in map(self._journal.get, self._inside) if row is not None and row.outcome is None]
        self._inside = {row.key for row in awake}
        self._returning = {key: let_in for key, let_in in self._returning.items() if _goes_on(self._journal.get(key))}
        returned = []
        for key in (*self._returning, *sorted(self._claimed.keys() - self._inside)):
            row = self._journal.get(key)
            if row is None or row.frozen or not _goes_on(row):
                continue
            if not self._has_room(row, awake):
                break
            awake.append(row)
            self._inside.add(key)
            if key in self._returning:
                returned.append(self._returning.pop(key))
            else:
                self._claimed[key].set()
        return returned

    def _has_room(self, row: RunRow, awake: list[RunRow]) -> bool:
        """A run that needs more than there is now, as after a change of settings, is let in alone."""
        if not awake:
            return True
        return len(awake) < self._admission.max_runs and self._admission.has_cpu(row.run, awake)

    def _waits(self, key: int) -> bool:
        self._journal.check_open()
        row = self._journal.get(key)
        has_begun = row is None or row.step or row.handle is not None or not row.awake
        return not has_begun and key not in self._inside and _goes_on(row)


def _goes_on(row: RunRow | None) -> bool:
    """Whether a slot is of use to it."""
    return row is not None and row.exit is None and row.outcome is None and row.intent is Intent.NONE
