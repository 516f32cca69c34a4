"""How the worker ends: signals, their stages, and the last words to the server. Runs in any one thread."""

from __future__ import annotations

import math
import queue
import signal
from collections.abc import Sequence
from typing import Any, Final

import httpx

from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.view.control import Ending
from gyoza_tui.worker.view.local_control import LocalControl

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
"""Of a session with bounds: what it was for did not go well."""
EXIT_LEFT: Final = 130
DELIVER_AFTER_RELEASE_S: Final = 10.0
_GOOD_BYE_S: Final = 2.0
_LOOK_S: Final = 0.2
"""How often it looks for a signal: a handler may only put a word into a queue."""


class Signals:
    """Handlers that only put a word into a queue: no lock, no logging, right from the first moment.

    The main thread runs them, whoever else has it; another thread may read the queue.
    """

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._replaced: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        """In the main thread; again after anything that set handlers of its own, as a screen does."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._replaced.setdefault(number, signal.getsignal(number))
            signal.signal(number, lambda received, _frame: self._words.put(received))
        self._replaced.setdefault(signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        signal.signal(signal.SIGHUP, lambda _received, _frame: None)

    def restore(self) -> None:
        """In the main thread: the handlers that were there before, for a program that goes on without the worker."""
        while self._replaced:
            number, handler = self._replaced.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def next(self, timeout_s: float) -> int | None:
        """The next signal, waited for at most `timeout_s`."""
        try:
            return self._words.get(timeout=timeout_s)
        except queue.Empty:
            return None


class Shutdown:
    """Waits for the end and brings it about."""

    def __init__(
        self,
        runtime: Runtime,
        slots: Slots,
        control: LocalControl,
        heartbeat: Heartbeat,
        deliver: Deliver,
        signals: Signals,
    ) -> None:
        self._runtime = runtime
        self._slots = slots
        self._control = control
        self._heartbeat = heartbeat
        self._deliver = deliver
        self._signals = signals
        self._received = 0
        self._deadline = math.inf
        self._released = False
        self._bound_met = False

    def wait(self) -> int:
        """Serve until somebody asks for the end; the exit code."""
        while True:
            self._look_for_signal()
            self._look_at_bounds()
            match self._control.asked:
                case Ending.LEAVE:
                    return EXIT_LEFT
                case Ending.RELEASE:
                    if self._release():
                        return self._good_bye()
                case Ending.DETACH:
                    return self._good_bye()
                case Ending.DRAIN:
                    if self._drain():
                        return self._good_bye()

    def turn(self, duties: Sequence[Duty], passes: int) -> int:
        """Do each duty so many times, one after another, unless a signal comes; leave as by a detach."""
        for _ in range(passes):
            if self._signals.next(0.0) is not None:
                break
            for duty in duties:
                duty.step()
        return self._good_bye()

    def _look_at_bounds(self) -> None:
        """End a session whose bound is met; whoever undoes that goes on without bounds."""
        session = self._runtime.session
        if self._control.asked is not None:
            return
        if self._bound_met:
            self._bound_met = False
            session.lift()
        if session.over is None and session.time_is_over:
            session.end(f"{session.bounds.max_seconds:g} s are over")
            ending = self._first_stage(signal.SIGTERM)
            self._end_session(ending)
            self._say(ending)
            return
        if self._nothing_to_claim_and_settled():
            session.end("nothing is left to finish or to report")
        if session.over is not None:
            self._end_session(Ending.DRAIN)

    def _nothing_to_claim_and_settled(self) -> bool:
        """In a session until all is empty whose duties do not claim; where they do, the claims find out."""
        session = self._runtime.session
        waits = session.bounds.until_empty and not session.claims and session.over is None
        return waits and self._runtime.link.state.registered and self._deliver.settled()

    def _end_session(self, ending: Ending) -> None:
        self._bound_met = True
        self._received = 1  # what `_say` tells of a second signal is true of the next one
        self._runtime.notices.say(f"the session ends: {self._runtime.session.over}")
        self._control.end(ending)

    def _look_for_signal(self) -> None:
        if self._control.asked is None:
            # the drain of a former signal was undone
            self._received, self._deadline = 0, math.inf
        received = self._signals.next(_LOOK_S)
        if received is None:
            return
        self._received += 1
        stages = [self._first_stage(received), Ending.RELEASE, Ending.LEAVE]
        ending = stages[min(self._received, len(stages)) - 1]
        self._say(ending)
        self._control.end(ending)

    def _first_stage(self, received: int) -> Ending:
        detach = received == signal.SIGTERM and self._runtime.settings.on_sigterm == "detach"
        return Ending.DETACH if detach else Ending.DRAIN

    def _say(self, ending: Ending) -> None:
        runs = _counted(len(self._runtime.active()), "run")
        reports = self._deliver.waiting()
        untold = f" and telling the server {_counted(reports, 'report')}" if reports else ""
        words = {
            Ending.DRAIN: f"draining: finishing {runs}{untold}, then exit; a second signal stops and gives them back",
            Ending.DETACH: f"detaching: {runs} left to go on, the next start adopts them",
            Ending.RELEASE: f"stopping {runs} and giving them back{untold}; a third signal leaves at once",
            Ending.LEAVE: "leaving at once; containers stay for the next start",
        }
        self._runtime.notices.say(words[ending], "warning", ending=ending)

    def _drain(self) -> bool:
        """Whether nothing is left to finish, or the time for it is over."""
        runtime = self._runtime
        limit = runtime.settings.drain_timeout_s
        if limit is not None and self._deadline == math.inf:
            self._deadline = runtime.clock.boot() + limit
        if runtime.clock.boot() >= self._deadline:
            self._say(Ending.DETACH)
            return True
        if not runtime.link.state.registered and not runtime.journal.rows():
            return True
        return self._deliver.settled()

    def _release(self) -> bool:
        """Whether all containers are gone and their reports delivered, or tried for long enough."""
        runtime = self._runtime
        if not self._released:
            self._released = True
            runtime.mode.drain(True)
            self._deadline = math.inf
        for row in runtime.active():
            if self._slots.is_held(row.key):
                continue
            self._slots.intend(row, Intent.RELEASE, "the worker was stopped")
        if self._slots.busy:
            return False
        if self._deadline == math.inf:
            self._deadline = runtime.clock.boot() + DELIVER_AFTER_RELEASE_S
            runtime.wakes.deliver.set()
        return self._deliver.waiting() == 0 or runtime.clock.boot() >= self._deadline

    def _good_bye(self) -> int:
        """DELETE when nothing is left behind, else a beat that says that we are away."""
        runtime = self._runtime
        self._heartbeat.fall_silent()
        if not runtime.link.state.registered:
            return EXIT_DONE
        if runtime.journal.rows():
            self._heartbeat.say_away()
            return EXIT_DONE
        try:
            runtime.client.delete_worker(runtime.context.worker_id, runtime.state_dir.instance_id, _GOOD_BYE_S)
        except httpx.HTTPError as error:
            runtime.notices.say(f"the good-bye was not heard: {type(error).__name__}", "warning")
        return EXIT_DONE


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
