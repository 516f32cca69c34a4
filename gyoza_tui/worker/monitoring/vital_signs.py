"""Whether a worker goes on: the one rule of `/health` and of a service manager's watchdog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.duties.claim import Claim
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.server_link import ServerLink

HUNG_S: Final = 120.0
"""A tick, or a request of one, takes less: a claim 40 s, a report 35 s, a name's address up to a minute more."""
_REQUEST_PARTS: Final = 4
"""A beat may take its interval for each: connect, send, receive, and wait for a connection."""
_VITAL: Final = frozenset({Heartbeat.name, Claim.name, Deliver.name})


class VitalSigns:
    """A duty ticks if its thread lives and comes back, with whatever result: without a server all of them still do."""

    def __init__(self, clock: Clock, duties: Sequence[Duty], link: ServerLink) -> None:
        self._clock = clock
        self._duties = duties
        self._link = link

    def hung(self) -> dict[str, str]:
        """By name why each duty that a worker is for does not tick; nothing: it goes on."""
        return {name: why for name, why in self.not_ticking().items() if name in _VITAL}

    def degraded(self) -> dict[str, str]:
        """By name what is wrong with all other duties, and with those that tick and fail."""
        hung, silent = self.hung(), self.not_ticking()
        failing = {duty.name: "its last tick failed" for duty in self._duties if _failed_last(duty)}
        return {name: why for name, why in (failing | silent).items() if name not in hung}

    def not_ticking(self) -> dict[str, str]:
        """By name why each duty does not tick."""
        now, longest_s = self._clock.boot(), max(HUNG_S, _REQUEST_PARTS * self._link.state.heartbeat_s)
        found = {}
        for duty in self._duties:
            if not duty.status.alive:
                found[duty.name] = "its thread has died"
            elif duty.due is not None and now - duty.due > longest_s:
                found[duty.name] = f"its tick has not come back for {now - duty.due:.0f} s"
        return found


def _failed_last(duty: Duty) -> bool:
    status = duty.status
    return status.last_error_at is not None and status.last_error_at > (status.last_ok or 0.0)
