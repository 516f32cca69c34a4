"""Whether an op ended because its engine did: judged by when the engine began, against when the op lived.

Without live-restore an engine that is stopped ends its containers by their own TERM handlers, whatever exit code these
choose; one that was killed does it at its next start.
"""

from __future__ import annotations

from typing import Final

from gyoza_tui.backends.base import BackendError, Exit
from gyoza_tui.backends.docker.engine import Engine

_MISSED: Final = 255
"""The exit code that an engine gives to a container that it had running, and that is no longer there."""
_COMING_UP_S: Final = 120.0
_DOWN_S: Final = 600.0
"""How long the engine may be down for a restart of it, or of a slow machine. When it was stopped is not kept anywhere:
an op that ended up to this long before its start may have ended for it."""
_RESTARTED: Final = "the Docker engine or the machine was restarted under it"


class EngineStarts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ended(self, end: Exit) -> str | None:
        """Why this end came with a stop or a start of the engine; None when none is known. Raises nothing."""
        if end.started_at is None or end.finished_at is None:
            return None
        try:
            began = self._engine.began_at()
            if began is None or end.started_at >= began:
                return None
            if end.finished_at < began - _DOWN_S:
                return None
            if end.code == _MISSED and end.finished_at < began + _COMING_UP_S:
                return _RESTARTED
            return None if self._engine.live_restore() else _RESTARTED
        except BackendError:  # noted as trouble where it was raised
            return None
