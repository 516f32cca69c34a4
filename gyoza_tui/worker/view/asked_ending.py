"""How the worker is asked to end."""

from __future__ import annotations

import threading
from typing import Final, Literal

from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.view.control import Ending

_ENDED: Final = {
    None: "ended",
    Ending.DRAIN: "drained",
    Ending.DETACH: "detached: what it ran goes on, and the next start adopts it",
    Ending.RELEASE: "stopped: what it ran was stopped, to be given back",
    Ending.LEAVE: "left at once: what it ran goes on, and the next start adopts it",
}


class AskedEnding:
    """The highest ending asked for so far, by a person, a signal or a bound; `Shutdown` acts on it."""

    def __init__(self, mode: ClaimingMode, on_sigterm: Literal["drain", "detach"]) -> None:
        self._mode = mode
        self._lock = threading.Lock()
        self.on_sigterm = on_sigterm
        self.now: Ending | None = None
        self._asked_here = False

    @property
    def words(self) -> str:
        """How the worker has ended by it, for who looks at it from another process."""
        return _ENDED[self.now]

    @property
    def of_sigterm(self) -> Ending:
        """What a first SIGTERM asks for."""
        return Ending.DETACH if self.on_sigterm == "detach" else Ending.DRAIN

    def ask(self, ending: Ending) -> None:
        """By who is here; the server cannot undo it."""
        order = list(Ending)
        with self._lock:
            self._asked_here = True
            if self.now is None or order.index(ending) > order.index(self.now):
                self.now = ending
            if ending is Ending.DRAIN:
                self._mode.drain(True)

    def undo_drain(self) -> None:
        with self._lock:
            self._undo_drain()

    def follow(self) -> None:
        """Begin the drain that the server wants, or undo it when the server wants it no more."""
        with self._lock:
            if self.now is None and self._mode.drain_wanted:
                self.now = Ending.DRAIN
            elif not self._asked_here and not self._mode.drain_wanted:
                self._undo_drain()

    def _undo_drain(self) -> None:
        if self.now is Ending.DRAIN:
            self.now = None
            self._asked_here = False
            self._mode.drain(False)
