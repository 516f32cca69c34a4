"""Whose end it was: the op's, or that of the engine under it; and whether it was an end at all."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from gyoza_tui.backends.base import AttemptPhase, BackendError, BackendUnavailable, Exit, State
from gyoza_tui.backends.docker.ends import init_failure, may_be_init_failure, read_state
from gyoza_tui.backends.docker.engine import PROBE_TIMEOUT_S, Engine
from gyoza_tui.backends.docker.engine_starts import EngineStarts
from gyoza_tui.backends.docker.frames import Demuxer
from gyoza_tui.models.limits import KIB

_SECOND_LOOKS_S: Final = 2.0
"""How long a container is watched after an end that a signal from outside came before."""
_LOOK_S: Final = 0.25
_WENT_AWAY: Final = "the Docker engine went away about when it ended"


class Verdicts:
    """Completes what the engine recorded of an end, once per container: later the traces are gone."""

    def __init__(self, engine: Engine, inspect: Callable[[str], dict[str, Any] | None]) -> None:
        self._engine = engine
        self._inspect = inspect
        self._starts = EngineStarts(engine)
        self._lock = threading.Lock()
        self._stopped: set[str] = set()
        self._known: dict[str, Exit] = {}

    def stopping(self, container: str) -> None:
        """From here on an end by a signal is ours."""
        with self._lock:
            self._stopped.add(container)

    def known(self, container: str) -> Exit | None:
        """The end that was found out already."""
        with self._lock:
            return self._known.get(container)

    def learnt(self, container: str, end: Exit) -> None:
        """A good end, which needs no completing."""
        with self._lock:
            self._known[container] = end

    def forget(self, container: str) -> None:
        with self._lock:
            self._stopped.discard(container)
            self._known.pop(container, None)

    def complete(self, container: str, state: State) -> State:
        """Of an end, why: looks for a moment longer where a signal from outside came before it.

        RUNNING for one that was only being restarted.
        """
        if not isinstance(state, Exit):
            return state
        with self._lock:
            known, ours = self._known.get(container), container in self._stopped
        if known is not None:
            return known
        judged = self._judged_ours(container, state) if ours else self._judged(container, state)
        if isinstance(judged, Exit):
            self.learnt(container, judged)
        return judged

    def _judged_ours(self, container: str, end: Exit) -> Exit:
        if end.code and not self._answers():
            return end._replace(machine_fault="the Docker engine went away while it was being stopped")
        return self._with_init_failure(container, end)

    def _judged(self, container: str, end: Exit) -> State:
        if words := self._starts.ended(end):
            return _blamed(end, words)
        answers = self._answers()
        sent = answers and not end.oom and self._was_sent_a_signal(container, end)
        if sent or (answers and not end.oom and end.signal):
            now, answers = self._second_looks(container, end)
            if not isinstance(now, Exit):
                return now
            end = now
        if not answers or (end.code and end.finished_at and self._engine.troubles.near(end.finished_at)):
            return _blamed(end, _WENT_AWAY)
        return self._with_init_failure(container, _with_sender(end, sent=sent))

    def _with_init_failure(self, container: str, end: Exit) -> Exit:
        if not may_be_init_failure(end):
            return end
        return end._replace(not_executable=init_failure(end, self._last_words(container)))

    def _was_sent_a_signal(self, container: str, end: Exit) -> bool:
        """Whether the engine passed one on to it, as for a restart or when it is about to leave."""
        if end.finished_at is None:
            return False
        try:
            return self._engine.signalled(container, end.started_at or 0, end.finished_at)
        except BackendError:
            return False

    def _second_looks(self, container: str, end: Exit) -> tuple[State, bool]:
        """The state after a while, and whether the engine still answered: it may tell of memory a moment later, start
        the container again, or itself be about to leave."""
        deadline = time.monotonic() + _SECOND_LOOKS_S
        answers, now = True, end
        while answers and not now.oom and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            answers = self._answers()
            try:
                inspected = self._inspect(container)
            except BackendUnavailable:
                return now, False
            again = read_state(inspected["State"]) if inspected else now
            if again is AttemptPhase.RUNNING:
                return again, True
            now = again if isinstance(again, Exit) else now
        return now, answers

    def _answers(self) -> bool:
        try:
            self._engine.ping()
        except BackendUnavailable:
            return False
        return True

    def _last_words(self, container: str) -> bytes:
        query = {"stdout": "0", "stderr": "1", "tail": "5"}
        try:
            with self._engine.stream(
                "GET", f"/containers/{container}/logs", query, timeout_s=PROBE_TIMEOUT_S
            ) as answer:
                body = answer.read_all(64 * KIB) if answer.status == 200 else b""
        except (BackendUnavailable, OSError):
            return b""
        return b"".join(piece for _, piece in Demuxer().feed(body))


def _with_sender(end: Exit, *, sent: bool) -> Exit:
    """The engine knows an exit code alone: 143 is SIGTERM where one was sent, else a code that programs choose."""
    if sent and end.signal:
        return end._replace(from_outside=True)
    return end._replace(signal=None) if end.signal == signal.Signals.SIGTERM.name else end


def _blamed(end: Exit, words: str) -> Exit:
    """An op may answer the engine's TERM with exit 0: then only its outputs tell a success from a stop."""
    return end._replace(doubt=words) if end.code == 0 else end._replace(machine_fault=words)
