"""Waiting for the ends of runs, at a server that reports them and at one that does not."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from gyoza_tui.client.answers import not_served
from gyoza_tui.models.limits import CLAIM_WAIT_S_MAX, ENDED_IDS_MAX
from gyoza_tui.models.runs import EndedRequest, EndedRun
from gyoza_tui.models.states import RunState

if TYPE_CHECKING:
    from gyoza_tui.client._client import GyozaClient

POLL_MIN_S = 0.1
POLL_MAX_S = 2.0
"""Between looks at runs of a server that does not report ends."""
_POLLED_MAX: Final = 100
"""Runs that are looked at each time."""
_MANY: Final = 100
_GATHER_S: Final = 0.1
"""While so many are waited for, their ends are given time to gather: each request names all of them."""
_ROUND_S: Final = 1.0
"""How long a request waits while more runs are waited for than it can name."""


class Waited(NamedTuple):
    """As that of `concurrent.futures.wait`."""

    done: list[EndedRun]
    """In the order in which their ends were reported."""
    not_done: list[str]


class PendingRuns:
    """Runs until each has ended. A run that the server does not know never ends, or is refused (404)."""

    def __init__(self, client: GyozaClient, run_ids: Iterable[str]) -> None:
        self._client = client
        self._left = dict.fromkeys(run_ids)
        self._reports_ends = True
        self._pause = POLL_MIN_S

    @property
    def left(self) -> list[str]:
        return list(self._left)

    def next_ends(self, wait_s: float) -> list[EndedRun]:
        """Those that have ended since; waits up to `wait_s` for a first one. Raises what the client raises."""
        begin = time.monotonic()
        asked = list(islice(self._left, ENDED_IDS_MAX if self._reports_ends else _POLLED_MAX))
        if len(asked) < len(self._left):
            wait_s = min(wait_s, _ROUND_S)
        found = {end.id: end for end in self._ends(asked, wait_s) if end.id in self._left}
        for run_id in asked if not found else ():
            self._left[run_id] = self._left.pop(run_id)  # the others' turn, where there are more
        for run_id in found:
            del self._left[run_id]
        self._rest(begin + wait_s - time.monotonic(), found=bool(found))
        return list(found.values())

    def wait_again(self, run_id: str) -> None:
        """For the next end of a run that runs again."""
        self._left[run_id] = None

    def _ends(self, asked: list[str], wait_s: float) -> list[EndedRun]:
        if self._reports_ends:
            request = EndedRequest(ids=asked, wait_s=max(0.0, min(wait_s, CLAIM_WAIT_S_MAX)))
            try:
                return self._client.ended(request).runs
            except httpx.HTTPStatusError as error:
                if not not_served(error):
                    raise
                self._reports_ends = False
        runs = [self._client.get_run(run_id, events=False) for run_id in asked[:_POLLED_MAX]]
        return [EndedRun(id=run.id, state=run.state) for run in runs if run.state.terminal]

    def _rest(self, left_s: float, *, found: bool) -> None:
        """Before the next request: none follows at once that would find nothing, or hardly more."""
        if found:
            time.sleep(_GATHER_S if self._reports_ends and len(self._left) > _MANY else 0)
            return
        time.sleep(max(0.0, min(self._pause, left_s)))
        if not self._reports_ends:
            self._pause = min(POLL_MAX_S, self._pause * 1.2)


def wait(client: GyozaClient, run_ids: Iterable[str], timeout_s: float | None, return_when: str) -> Waited:
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(f"return_when is FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, not {return_when!r}")
    pending = PendingRuns(client, run_ids)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    done: list[EndedRun] = []
    while pending.left:
        left_s = CLAIM_WAIT_S_MAX if deadline is None else max(0.0, deadline - time.monotonic())
        ends = pending.next_ends(min(left_s, CLAIM_WAIT_S_MAX))
        done += ends
        if left_s <= 0 or (ends and _enough(ends, return_when)):
            break
    return Waited(done, pending.left)


def _enough(ends: list[EndedRun], return_when: str) -> bool:
    failed = any(end.state is not RunState.COMPLETED for end in ends)
    return return_when == FIRST_COMPLETED or (return_when == FIRST_EXCEPTION and failed)
