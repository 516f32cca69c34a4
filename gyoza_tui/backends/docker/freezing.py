"""A container paused and let go on, until the engine says that it is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Any, Final

from docker.errors import APIError

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.backends.docker.engine import Engine

_DEADLINE_S: Final = 10.0
_CALL_S: Final = 5.0
"""A pause took up to 0.6 s on a busy machine."""
_AGREES_S: Final = 1.0
"""How long an answered call may take to show in the engine's record, before it is made again."""
_POLL_S: Final = 0.02


class Freezing:
    """An engine answers before its record says so, and a call of the other kind in between gets lost."""

    def __init__(self, engine: Engine, inspect: Callable[[str], dict[str, Any] | None]) -> None:
        self._engine = engine
        self._inspect = inspect
        self._stopping: set[str] = set()

    def freeze(self, container: str) -> bool:
        """Whether there is such a container."""
        there = self._make(container, paused=True)
        if container in self._stopping:
            # an engine that is asked to stop a container lets it go on, but not one that is paused after that
            return self._make(container, paused=False)
        return there

    def thaw(self, container: str) -> bool:
        """Whether there is such a container."""
        return self._make(container, paused=False)

    def stopping(self, container: str) -> None:
        """It is being stopped: it is not frozen any more."""
        self._stopping.add(container)

    def forget(self, container: str) -> None:
        self._stopping.discard(container)

    def _make(self, container: str, *, paused: bool) -> bool:
        deadline = time.monotonic() + _DEADLINE_S
        words = ""
        while (wrong := self._is_wrong(container, paused=paused)) and not (paused and container in self._stopping):
            if time.monotonic() > deadline:
                wanted, why = "freeze" if paused else "go on", words or "no reason given"
                raise BackendUnavailable(f"the container {container[:12]} does not {wanted}: {why}")
            words = self._ask(container, paused=paused)
            agreed_by = time.monotonic() + (0.0 if words else _AGREES_S)
            while self._is_wrong(container, paused=paused) and time.monotonic() < agreed_by:
                Event().wait(_POLL_S)
        return wrong is not None

    def _is_wrong(self, container: str, *, paused: bool) -> bool | None:
        """Whether it runs and is not as it should be; None when there is no such container."""
        inspected = self._inspect(container)
        if inspected is None:
            return None
        state = inspected["State"]
        return bool(state["Running"]) and bool(state["Paused"]) != paused

    def _ask(self, container: str, *, paused: bool) -> str:
        """What the engine says against it: one in some ten calls on a busy machine fails, and the next one works."""
        with self._engine.api(_CALL_S) as api:
            try:
                (api.pause if paused else api.unpause)(container)
            except APIError as error:
                if error.status_code not in (404, 409, 500):
                    raise
                Event().wait(_POLL_S)
                return str(error.explanation)
        return ""
