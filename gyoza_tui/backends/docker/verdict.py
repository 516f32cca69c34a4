"""Whose end it was: the op's, or that of the engine under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from gyoza_tui.backends.base import BackendUnavailable, Exit, State
from gyoza_tui.backends.docker.ends import init_failure, may_be_init_failure, read_state
from gyoza_tui.backends.docker.engine import PROBE_TIMEOUT_S, Engine
from gyoza_tui.backends.docker.frames import Demuxer

_SECOND_LOOKS_S: Final = 2.0
"""How long an engine is watched after an end by a signal that was not ours."""
_LOOK_S: Final = 0.25
_MISSED: Final = 255
"""The exit code that an engine gives to a container that it had running, and that is no longer there."""
_COMING_UP_S: Final = 120.0


class Verdicts:
    """Completes what the engine recorded of an end, once per container: later the traces are gone."""

    def __init__(self, engine: Engine, inspect: Callable[[str], dict[str, Any] | None]) -> None:
        self._engine = engine
        self._inspect = inspect
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
        """Of a bad end, why: looks at the engine, for a moment longer where a signal came from nobody we know."""
        if not isinstance(state, Exit) or state.code == 0:
            return state
        with self._lock:
            known, ours = self._known.get(container), container in self._stopped
        if known is None:
            known = self._judged(container, state, ours=ours)
            with self._lock:
                self._known[container] = known
        return known

    def _judged(self, container: str, end: Exit, *, ours: bool) -> Exit:
        if not ours and self._lost_by_a_restart(end):
            return end._replace(machine_fault="the Docker engine or the machine was restarted under it")
        answers = self._answers()
        if end.signal and not ours and not end.oom:
            end, answers = self._second_looks(container, end, answers)
        if not ours and (not answers or (end.finished_at and self._engine.troubles.near(end.finished_at))):
            return end._replace(machine_fault="the Docker engine went away about when it ended")
        if ours and not answers:
            return end._replace(machine_fault="the Docker engine went away while it was being stopped")
        if may_be_init_failure(end):
            return end._replace(not_executable=init_failure(end, self._last_words(container)))
        return end

    def _lost_by_a_restart(self, end: Exit) -> bool:
        """An engine that comes up and misses a container records this end, at the time of its own start."""
        if end.code != _MISSED or end.started_at is None or end.finished_at is None:
            return False
        began = self._engine.began_at()
        return began is not None and end.started_at < began and end.finished_at < began + _COMING_UP_S

    def _second_looks(self, container: str, end: Exit, answers: bool) -> tuple[Exit, bool]:
        """The engine may tell of memory a moment later, or itself be about to leave."""
        deadline = time.monotonic() + _SECOND_LOOKS_S
        while answers and not end.oom and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            answers = self._answers()
            try:
                inspected = self._inspect(container)
            except BackendUnavailable:
                return end, False
            again = read_state(inspected["State"]) if inspected else end
            end = again if isinstance(again, Exit) else end
        return end, answers

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
                body = answer.read_all(64 * 1024) if answer.status == 200 else b""
        except (BackendUnavailable, OSError):
            return b""
        return b"".join(piece for _, piece in Demuxer().feed(body))
