"""Tell the server that we are here and what we run."""

from __future__ import annotations

import threading
from typing import Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.endpoints import HEARTBEAT
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import RUNS_LISTED_MAX
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.presence import Presence
from gyoza_tui.worker.duties.verdicts import Verdicts
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.wakes import Wakes
from gyoza_tui.worker.wanted_state import WantedState

_TOGETHER_S: Final = 0.02
"""Beats that are asked for within this time are one. It also lets the run whose change asked go first."""
_AT_LEAST_S: Final = 0.05
_GOOD_BYE_S: Final = 2.0
_GOOD_BYE_PAUSE_S: Final = 0.25


class Heartbeat(Duty):
    """Reads only memory: no slow disk and no hung engine delays a beat."""

    name = "heartbeat"

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        wakes: Wakes,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        presence: Presence,
        wanted: WantedState,
        verdicts: Verdicts,
    ) -> None:
        super().__init__(clock, notices, wakes.beat)
        self._wakes = wakes
        self._client = client
        self._link = link
        self._journal = journal
        self.presence = presence
        self._wanted = wanted
        self._verdicts = verdicts
        self._sending = threading.Lock()
        self._sent_at = 0.0

    def tick(self) -> float:
        self._clock.wait(self._stopped, _TOGETHER_S)
        self._wake.clear()
        with self._sending:
            if not self._stopped.is_set():
                self._sent_at = self._clock.boot()
                self.beat(self._link.state.heartbeat_s)
        return self._link.state.heartbeat_s

    def retry_s(self) -> float:
        """Beats find out that the server is back, so they go on at their interval, counted from when one was sent."""
        return max(_AT_LEAST_S, self._sent_at + self._link.state.heartbeat_s - self._clock.boot())

    def fall_silent(self) -> None:
        """No beat begins any more, and none is under way, so that a good-bye is the last that the server hears."""
        self.stop()
        if self._sending.acquire(timeout=_GOOD_BYE_S):
            self._sending.release()

    def beat(self, timeout_s: float) -> None:
        """One beat; raises httpx.HTTPError."""
        state = self._link.state
        # the first beat knows no server: what is too much for one goes into the next, which lists one server's rows
        rows = [row for row in self._journal.memory.rows(state.answering) if not row.acked][-RUNS_LISTED_MAX:]
        self._client.open()
        sent_at = self._clock.boot()
        request = self.presence.request(rows, with_inputs=state.registered and state.protocol is None)
        try:
            reply = self._client.beat(request, timeout_s)
        except httpx.HTTPError as error:
            self._link.failed(HEARTBEAT, error)
            raise
        self._wanted.hear(reply)  # first: once the server is known, runs are claimed
        self._link.beaten(reply, sent_at)
        self._wakes.claim.set()  # which may wait for this beat
        self._verdicts.hear(rows, reply)

    def say_away(self) -> None:
        """Send the last beat of a worker that leaves runs behind, after `fall_silent`; retry it for two seconds."""
        deadline = self._clock.boot() + _GOOD_BYE_S
        self.presence.leave()
        while self._clock.boot() < deadline:
            try:
                return self.beat(max(0.2, deadline - self._clock.boot()))
            except httpx.HTTPError:
                self._clock.wait(threading.Event(), _GOOD_BYE_PAUSE_S)
        return None
