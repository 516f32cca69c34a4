"""What the first, the second and the third signal mean."""

from __future__ import annotations

import signal
from typing import Final

from gyoza_tui.worker.shutdown.announcement import Announcement
from gyoza_tui.worker.shutdown.signals import Signals
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.control import Ending

_LOOK_S: Final = 0.2
"""How often it looks for a signal: a handler may only put a word into a queue."""


class Stages:
    """Each signal asks for a higher ending than the one before."""

    def __init__(self, signals: Signals, ending: AskedEnding, announcement: Announcement) -> None:
        self._signals = signals
        self._ending = ending
        self._announcement = announcement
        self._received = 0

    def look(self) -> None:
        """Wait a moment for a signal, and ask for what it means."""
        if self._ending.now is None:
            # the drain of a former signal was undone
            self._received = 0
        received = self._signals.next(_LOOK_S)
        if received is None:
            return
        self._received += 1
        first = self._ending.of_sigterm if received == signal.SIGTERM else Ending.DRAIN
        stages = [first, Ending.RELEASE, Ending.LEAVE]
        ending = stages[min(self._received, len(stages)) - 1]
        self._announcement.begins(ending)
        self._ending.ask(ending)

    def interrupted(self) -> bool:
        """Whether a signal came; where there are no stages."""
        return self._signals.next(0.0) is not None

    def begin(self, ending: Ending) -> None:
        """Ask for an ending that stands for the first signal: what is said of a second one is true of the next."""
        self._received = 1
        self._ending.ask(ending)
