"""Keep a claim open and take what it is answered with."""

from __future__ import annotations

from typing import Final

from gyoza_tui.client.endpoints import CLAIM
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.workers import Children
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.duties.claim_request import ClaimRequests
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.empty_check import EmptyCheck
from gyoza_tui.worker.duties.intake import Intake
from gyoza_tui.worker.duties.unplaced_children import UnplacedChildren
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.session import Session
from gyoza_tui.worker.wakes import Wakes

_EARLY_S: Final = 0.5
_BEAT_S: Final = 2.0
_UNTIL_WOKEN_S: Final = 30.0


class Claim(Duty):
    """A claim is open all the time, with `max` 0 where nothing is wanted: so an answer lost on the way is repeated."""

    name = "claim"

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        wakes: Wakes,
        link: ServerLink,
        pool: BackendPool,
        session: Session,
        requests: ClaimRequests,
        intake: Intake,
        empty_check: EmptyCheck,
        unplaced: UnplacedChildren,
    ) -> None:
        super().__init__(clock, notices, wakes.claim)
        self._wakes = wakes
        self._link = link
        self._pool = pool
        self._session = session
        self._requests = requests
        self._intake = intake
        self._empty_check = empty_check
        self._unplaced = unplaced
        self._limited = False
        """Whether only what runs wait for is claimed, because many wait here."""

    def tick(self) -> float:
        link = self._link
        if self._session.wants_no_claim:
            return _UNTIL_WOKEN_S
        if not link.state.registered:
            if link.state.beat_at is not None:  # the first comes by itself
                self._wakes.beat.set()
            return _UNTIL_WOKEN_S
        if not self._pool.looked_at:
            # the answer may repeat one that was lost with a former start: it must not be given back unseen
            return _UNTIL_WOKEN_S
        if (wait := link.wait_s(CLAIM)) > 0:
            return wait
        if quiet := self._empty_check.quiet:
            self._beat_first()  # the server gives by what it was told last
        began = self._clock.boot()
        request = self._requests.next(0.0 if quiet else self._session.claim_wait_s)
        self._say_limit(limited=request.children is Children.ANY)
        answer = self._requests.send(request)
        news = self._intake.take(answer, request.children)
        if answer.runs or request.children is not Children.MINE:
            self._unplaced.forget()
        if quiet and not answer.runs:
            return self._empty_check.nothing_came(request.max)
        self._empty_check.something_came()
        if link.state.protocol is None:
            return 0.0 if news else link.state.heartbeat_s
        if not answer.runs and self._clock.boot() - began < request.wait_s - _EARLY_S:
            self._beat_first()
        elif not answer.runs and request.children is Children.MINE:
            self._unplaced.look()
        return 0.0

    def retry_s(self) -> float:
        return max(self._link.wait_s(CLAIM), super().retry_s())

    def _say_limit(self, *, limited: bool) -> None:
        if limited == self._limited:
            return
        self._limited = limited
        if limited:
            words = "many runs here wait for their children (GYOZA_WAITING_MAX): only what runs wait for is claimed"
            self._notices.say(words, "warning")
        else:
            self._notices.say("fewer runs here wait for their children: any run is claimed again")

    def _beat_first(self) -> None:
        """An early empty answer means: there is news in the next beat's reply."""
        asked_at = self._clock.boot()
        self._wakes.claim.clear()
        self._wakes.beat.set()
        while (self._link.state.beat_at or 0.0) < asked_at and self._clock.boot() < asked_at + _BEAT_S:
            self._clock.wait(self._wakes.claim, 0.1)
            self._wakes.claim.clear()
