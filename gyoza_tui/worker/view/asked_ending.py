"""How the worker is asked to end."""

from __future__ import annotations

from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.view.control import Ending


class AskedEnding:
    """The highest ending asked for so far, by a person, a signal or a bound; `Shutdown` acts on it."""

    def __init__(self, mode: ClaimingMode) -> None:
        self._mode = mode
        self.now: Ending | None = None

    def ask(self, ending: Ending) -> None:
        order = list(Ending)
        if self.now is None or order.index(ending) > order.index(self.now):
            self.now = ending
        if ending is Ending.DRAIN:
            self._mode.drain(True)

    def undo_drain(self) -> None:
        if self.now is Ending.DRAIN:
            self.now = None
            self._mode.drain(False)
