"""Runs that wait for their children: each gives up its slot, and takes one again before its op is answered."""

from __future__ import annotations

import sqlite3
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots.gate import Gate
from gyoza_tui.worker.wakes import Wakes

_COUNT_S: Final = 1.0
"""How often the number of children that are left is journaled."""
_IDLE_S: Final = 30.0
_AGAIN_S: Final = 1.0
"""Before what could not be journaled is tried again."""


class WaitingRuns:
    """Thread-safe; no method waits for a disk. What is asked for is done in that order, in a thread of its own.

    Each change is journaled before it is acted on. An op whose run has ended, or is to be stopped, is not answered.
    """

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        journal: Journal,
        gate: Gate,
        wake_slot: Callable[[int], None],
        wakes: Wakes,
    ) -> None:
        """`wake_slot` lets the thread of a run look at its row again."""
        self._clock = clock
        self._notices = notices
        self._journal = journal
        self._gate = gate
        self._wake_slot = wake_slot
        self._wakes = wakes
        self._acts: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._stopped = False
        self._go_on: dict[int, list[Callable[[], None]]] = {}
        """Of runs that are at the gate: what answers their ops."""
        self._began: dict[int, float] = {}
        """Boot time at which each run began to wait, if that was in this process."""
        self._left: dict[int, int] = {}
        """Children that are left, not journaled yet."""
        self._counted: dict[int, float] = {}
        """Boot time at which those of a run were journaled last."""
        self._said = ""

    # What the channel of an op asks for

    def begin(self, key: int, left: int, of: int) -> None:
        """The op waits for `left` of `of` children: the run gives up its slot, unless it has done so already."""
        self._do(partial(self._begin, key, left, of))

    def count(self, key: int, left: int) -> None:
        """So many children are left."""
        self._do(partial(self._left.__setitem__, key, left))

    def come_back(self, key: int, go_on: Callable[[], None]) -> None:
        """A wait of the op is over: call `go_on`, which answers it, once the run has a slot.

        `go_on` is called in this object's thread and returns soon. If the op has further waits open, it is to call
        `begin` again afterwards: a run waits as long as any of its waits is open.
        """
        self._do(partial(self._come_back, key, go_on))

    def hung_up(self, key: int) -> None:
        """The last wait of the op is over without an answer: the run is awake, whether there is room or not.

        Not one that is being stopped: it waits to its end.
        """
        self._do(partial(self._hung_up, key))

    def is_frozen(self, key: int) -> bool:
        row = self._journal.get(key)
        return row is not None and row.frozen

    # Its thread

    def start(self) -> None:
        threading.Thread(target=self._serve, name="waiting", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def turn(self) -> float:
        """Do what was asked for; seconds until there may be more to do. What cannot be journaled stays first."""
        while self._acts:
            self._act(self._acts[0])
            self._acts.popleft()
        self._forget_ended()
        return self._journal_counts()

    def _serve(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                pause = self.turn()
                self._said = ""
            except JournalClosed:
                return
            except (OSError, sqlite3.Error) as error:
                self._tell(error)
                pause = _AGAIN_S
            self._clock.wait(self._wake, pause)

    def _tell(self, error: Exception) -> None:
        words = f"runs that wait cannot be journaled, which is tried again: {error}"
        if words != self._said:
            self._said = words
            self._notices.say(words, "warning")

    def _act(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (OSError, sqlite3.Error):
            raise
        except Exception as error:  # one run is stuck by it; the others must not be
            trace = "".join(traceback.format_exception(error))
            self._notices.say(f"waiting: {type(error).__name__}: {error}", "error", traceback=trace)

    def _do(self, act: Callable[[], None]) -> None:
        self._acts.append(act)
        self._wake.set()

    def _begin(self, key: int, left: int, of: int) -> None:
        row = self._at_work(key)
        if row is None:
            return
        changes: dict[str, Any] = {"waits_left": left, "waits_of": of}
        if not row.waits:
            changes["waiting_since"] = self._clock.utc().timestamp()
        self._journal.update(key, **changes)
        self._left.pop(key, None)
        if not row.waits:
            self._began[key] = self._clock.boot()
            self._changed(key)
            self._gate.leave(key)

    def _come_back(self, key: int, go_on: Callable[[], None]) -> None:
        row = self._at_work(key)
        if row is None:
            return
        if not row.waits:
            self._answer(row, go_on)
            return
        returning = self._go_on.setdefault(key, [])
        returning.append(go_on)
        self._gate.come_back(key, lambda: self._do(partial(self._let_in, key, returning)))

    def _let_in(self, key: int, returning: list[Callable[[], None]]) -> None:
        if self._go_on.get(key) is not returning:
            return  # its op has hung up since, and may wait again
        self._awake(key)
        row = self._at_work(key)
        for go_on in self._go_on.pop(key):
            if row is not None:
                self._answer(row, go_on)

    def _hung_up(self, key: int) -> None:
        row = self._at_work(key)
        if row is not None and row.intent is not Intent.NONE:
            # the op hangs up since it is stopped: a beat that called it awake would take back why it is given back
            return
        self._gate.come_in(key)
        self._awake(key)
        self._go_on.pop(key, None)

    def _awake(self, key: int) -> None:
        """Journal that the run, which has a slot, does not wait any more."""
        row = self._journal.get(key)
        if row is None or not row.waits:
            return
        left = self._left.get(key, row.waits_left)
        self._journal.update(key, waiting_since=None, waits_left=left, waited_s=row.waited_s + self._waited_s(row))
        self._began.pop(key, None)
        self._left.pop(key, None)
        self._changed(key)

    def _waited_s(self, row: RunRow) -> float:
        """By boot time, or by UTC where it began in an earlier process."""
        if row.key in self._began:
            return self._clock.boot() - self._began[row.key]
        return max(0.0, self._clock.utc().timestamp() - (row.waiting_since or 0.0))

    def _changed(self, key: int) -> None:
        """The server counts by the next beat, the time limit by the thread of the run."""
        self._wakes.beat.set()
        self._wake_slot(key)

    def _answer(self, row: RunRow, go_on: Callable[[], None]) -> None:
        try:
            go_on()
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            words = f"{row.run_id}: its op is not answered: {type(error).__name__}: {error}"
            self._notices.say(words, "error", run=row.run_id, traceback=trace)

    def _at_work(self, key: int) -> RunRow | None:
        row = self._journal.get(key)
        return row if row is not None and row.exit is None and row.outcome is None else None

    def _forget_ended(self) -> None:
        kept: tuple[dict[int, Any], ...] = (self._go_on, self._began, self._left, self._counted)
        for by_key in kept:
            for key in [key for key in by_key if self._at_work(key) is None]:
                del by_key[key]

    def _journal_counts(self) -> float:
        """What is due; seconds until more is."""
        now, pause = self._clock.boot(), _IDLE_S
        for key in list(self._left):
            due_s = self._counted.get(key, -_COUNT_S) + _COUNT_S - now
            if due_s > 0:
                pause = min(pause, due_s)
                continue
            left = self._left.pop(key)
            self._counted[key] = now
            row = self._at_work(key)
            if row is not None and row.waits:
                self._journal.update(key, waits_left=left)
        return pause
