"""Finish what is here, then end."""

from __future__ import annotations

import math

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.server_link import ServerLink


class Drain:
    """What is here is finished, for a limited time where there is a limit."""

    def __init__(
        self, clock: Clock, link: ServerLink, journal: Journal, deliver: Deliver, limit_s: float | None
    ) -> None:
        self._clock = clock
        self._link = link
        self._journal = journal
        self._deliver = deliver
        self._limit_s = math.inf if limit_s is None else limit_s
        self._began: float | None = None

    def undo(self) -> None:
        self._began = None

    def takes_too_long(self) -> bool:
        """Counted from the first time that this is asked."""
        if self._began is None:
            self._began = self._clock.boot()
        return self._clock.boot() >= self._began + self._limit_s

    @property
    def done(self) -> bool:
        """Whether nothing is left to finish, nor to report where there is a server."""
        if not self._link.state.registered and not self._journal.rows():
            return True
        return self._deliver.settled()

    @property
    def reported(self) -> bool:
        """Whether nothing is left to finish, and the server knows it."""
        return self._link.state.registered and self._deliver.settled()
