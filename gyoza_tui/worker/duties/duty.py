"""What every duty is: a thread that does one thing again and again, whatever happens to it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import traceback
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar, Final

import httpx

from gyoza_tui.client.answers import words
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.duties.duty_status import DutyStatus
from gyoza_tui.worker.notices.notices import Notices

_SLICE_S: Final = 30.0
_LOOK_S: Final = 0.25
"""How often the keeper looks: real time, so that a death shows within a second."""


class Fault(StrEnum):
    """What a tick failed by."""

    SERVER = "server"
    """A request failed."""
    DISK = "disk"
    DEATH = "death"
    """Its thread was ended."""
    OTHER = "other"


class Duty:
    """Subclasses do their work in `tick`. A tick that raises is told, and tried again with back-off."""

    name: ClassVar[str]
    first_s: float = 0.0
    """How long the first tick of all waits to be woken, while others do what is more urgent at a start."""

    def __init__(self, clock: Clock, notices: Notices, wake: threading.Event) -> None:
        self._clock = clock
        self._notices = notices
        self._wake = wake
        self._stopped = threading.Event()
        self._backoff = Backoff(clock)
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._killed_by: BaseException | None = None
        self._life = Backoff(clock)
        """Of starting its thread again."""
        self.status = DutyStatus(self.name)
        self.faults: Counter[Fault] = Counter()
        """How often it failed, by what."""
        self.due: float | None = None
        """Boot time at which its next tick is to begin, or at which the one at work last went on. None: not begun."""

    def tick(self) -> float:
        """Do the duty once; the seconds from the tick's beginning to the next one, unless it is woken."""
        raise AssertionError

    def start(self) -> None:
        self._began = self._clock.boot()
        self.due = self._began + self.first_s
        self._thread = threading.Thread(target=self._live, name=self.name, daemon=True)
        self.status = self.status._replace(alive=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._killed_by = error
            raise

    def keep_alive(self) -> None:
        """Tell that its thread has died, and start it again when its time has come; by the keeper alone."""
        if self._thread is None or self._thread.is_alive() or self._stopped.is_set():
            return
        if self.status.alive:
            self._mourn()
        elif self._life.remaining_s == 0:
            self.start()

    def stop(self) -> None:
        """No further tick begins."""
        self._stopped.set()
        self._wake.set()

    def close(self) -> None:
        """Let go of what it holds; it was stopped."""

    def step(self) -> float:
        """One tick with its bookkeeping; the boot time of the next one."""
        self.due = began = self._clock.boot()
        try:
            next_try = began + self.tick()
        except httpx.HTTPError as error:
            next_try = self._failed(words(error), Fault.SERVER)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            if self.status.last_error != text:
                self._notices.say(f"{self.name}: {text}", "error", duty=self.name)
            disk = isinstance(error, OSError | sqlite3.Error)
            next_try = self._failed(text, Fault.DISK if disk else Fault.OTHER)
        else:
            self._backoff.succeed()
            self.status = self.status._replace(last_ok=self._clock.boot(), next_try=next_try)
        self.due = next_try
        return next_try

    def goes_on(self) -> None:
        """Tell that its tick is at work: for one that may take long."""
        self.due = self._clock.boot()

    def retry_s(self) -> float:
        """Seconds to wait after a failed tick."""
        return self._backoff.fail()

    def _failed(self, text: str, fault: Fault) -> float:
        self.faults[fault] += 1
        now = self._clock.boot()
        next_try = now + self.retry_s()
        self.status = self.status._replace(last_error=text, last_error_at=now, next_try=next_try)
        return next_try

    def _live(self) -> None:
        try:
            self._serve()
        except BaseException as error:
            self._killed_by = error

    def _mourn(self) -> None:
        error, self._killed_by = self._killed_by, None
        if (self.status.last_ok or 0.0) > self._began:
            self._life.succeed()
        pause = self._life.fail()
        self.faults[Fault.DEATH] += 1
        now = self._clock.boot()
        cause = f"{type(error).__name__}: {error}".removesuffix(": ") if error else "nobody knows what"
        text = f"its thread was ended by {cause}"
        self.status = self.status._replace(
            alive=False,
            deaths=self.status.deaths + 1,
            last_error=text,
            last_error_at=now,
            next_try=now + pause,
        )
        trace = "".join(traceback.format_exception(error)) if error else ""
        words = f"{self.name}: {text}; it is started again"
        self._notices.say(words, "error", duty=self.name, traceback=trace)

    def _serve(self) -> None:
        self._clock.wait(self._wake, self.first_s)
        self.first_s = 0.0
        while not self._stopped.is_set():
            self._wake.clear()
            next_try = self.step()
            while (left := next_try - self._clock.boot()) > 0 and not self._clock.wait(self._wake, min(left, _SLICE_S)):
                pass


class Keeper:
    """Looks after the threads of the duties, in one of its own."""

    def __init__(self, duties: Sequence[Duty]) -> None:
        self._duties = duties
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._serve, name="keeper", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _serve(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            for duty in self._duties:
                with contextlib.suppress(Exception):  # no memory for a thread: at the next look
                    duty.keep_alive()
