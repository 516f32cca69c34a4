"""The ways in which a worker ends, and its last words to the server."""

from __future__ import annotations

import math
from typing import Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.wakes import Wakes

DELIVER_AFTER_RELEASE_S: Final = 10.0
_GOOD_BYE_S: Final = 2.0


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


class Release:
    """All containers are stopped and their runs given back."""

    def __init__(
        self, clock: Clock, journal: Journal, slots: Slots, deliver: Deliver, mode: ClaimingMode, wakes: Wakes
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._slots = slots
        self._deliver = deliver
        self._mode = mode
        self._wakes = wakes
        self._stopped_at: float | None = None

    def done(self) -> bool:
        """Whether all containers are gone and their reports delivered, or tried for long enough."""
        self._mode.drain(True)
        for row in self._journal.active():
            if not self._slots.is_held(row.key):
                self._slots.intend(row, Intent.RELEASE, "the worker was stopped")
        if self._slots.busy:
            return False
        if self._stopped_at is None:
            self._stopped_at = self._clock.boot()
            self._wakes.deliver.set()
        return self._deliver.waiting() == 0 or self._clock.boot() >= self._stopped_at + DELIVER_AFTER_RELEASE_S


class GoodBye:
    def __init__(
        self,
        heartbeat: Heartbeat,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        notices: Notices,
        identity: Identity,
    ) -> None:
        self._heartbeat = heartbeat
        self._client = client
        self._link = link
        self._journal = journal
        self._notices = notices
        self._identity = identity

    def say(self) -> None:
        """DELETE when nothing is left behind, else a beat that says that we are away."""
        self._heartbeat.fall_silent()
        if not self._link.state.registered:
            return
        if self._journal.rows():
            self._heartbeat.say_away()
            return
        try:
            self._client.delete_worker(self._identity.worker_id, self._identity.instance_id, _GOOD_BYE_S)
        except httpx.HTTPError as error:
            self._notices.say(f"the good-bye was not heard: {type(error).__name__}", "warning")
