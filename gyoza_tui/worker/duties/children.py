"""Learn which children have ended of the runs here that wait for theirs: one open request for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from queue import SimpleQueue
from typing import Any, Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, meaning, not_served
from gyoza_tui.client.endpoints import ENDED, GET_RUN, Endpoint
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import ENDED_IDS_MAX
from gyoza_tui.models.runs import Ended, EndedRequest, EndedRun, OpRun
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.op_channel.op_channel import OpChannel
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.wakes import Wakes

_IDLE_S: Final = 30.0
_WAIT_S: Final = 10.0
"""How long the server may take to answer; an answer is due by then, whatever was lost on the way."""
_POLL_S: Final = 2.0
_POLLED_MAX: Final = 20
"""Children that are asked for one by one, of each run that waits, where the server does not report ends."""


class ChildEnds(Duty):
    name = "children"

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        wakes: Wakes,
        client: GyozaClient,
        link: ServerLink,
        channel: OpChannel,
        worker_id: str,
    ) -> None:
        super().__init__(clock, notices, wakes.children)
        self._client = client
        self._link = link
        self._channel = channel
        self._worker_id = worker_id

    def tick(self) -> float:
        server_id = self._link.state.answering
        parents = self._channel.waited_for(server_id) if server_id is not None else {}
        if server_id is None or not parents:
            return _IDLE_S
        if (wait := max(self._link.wait_s(ENDED), self._link.wait_s(GET_RUN))) > 0:
            return wait
        asked = dict(islice(parents.items(), ENDED_IDS_MAX))
        request = EndedRequest(parents=asked, wait_s=_WAIT_S, worker_id=self._worker_id)
        try:
            ended = self._client.ended(request)
        except httpx.HTTPError as error:
            if not not_served(error):
                raise self._fault(ENDED, error) from None
            self._ask_for_each(server_id)
            return _POLL_S
        self._link.succeeded(ENDED)
        self._channel.take_ends(server_id, ended)
        return 0.0

    def retry_s(self) -> float:
        return max(self._link.wait_s(ENDED), self._link.wait_s(GET_RUN), super().retry_s())

    def _ask_for_each(self, server_id: str) -> None:
        answer: SimpleQueue[Mapping[str, frozenset[str]]] = SimpleQueue()
        self._channel.pending(server_id, answer.put)
        for parent, children in answer.get(timeout=_IDLE_S).items():
            runs = [self._run(child) for child in islice(sorted(children), _POLLED_MAX)]
            ended = [EndedRun(id=run.id, state=run.state, parent_id=parent) for run in runs if run.state.terminal]
            self._channel.take_ends(server_id, Ended(runs=ended))

    def _run(self, child: str) -> OpRun:
        try:
            run = self._client.get_run(child, events=False)
        except httpx.HTTPError as error:
            raise self._fault(GET_RUN, error) from None
        self._link.succeeded(GET_RUN)
        return run

    def _fault(self, endpoint: Endpoint[Any], error: httpx.HTTPError) -> httpx.HTTPError:
        """The error, noted where it says something about the server."""
        if meaning(error) in (Meaning.SERVER_FAULT, Meaning.UNAUTHORIZED, Meaning.FORBIDDEN):
            self._link.failed(endpoint, error)
        return error
