"""The next claim, and how it is sent."""

from __future__ import annotations

import httpx

from gyoza_tui.client import Claimed, GyozaClient
from gyoza_tui.client.endpoints import CLAIM
from gyoza_tui.models.limits import RUNS_PER_CLAIM_MAX
from gyoza_tui.models.workers import Children, ClaimRequest
from gyoza_tui.worker.capacity import Capacity
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.session import Session


class ClaimRequests:
    """For as many runs as are wanted, or for the session's one and what that waits for."""

    def __init__(
        self,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        capacity: Capacity,
        session: Session,
        identity: Identity,
    ) -> None:
        self._client = client
        self._link = link
        self._journal = journal
        self._capacity = capacity
        self._session = session
        self._identity = identity

    def next(self, wait_s: float) -> ClaimRequest:
        """It lists what is here."""
        only, children = self._session.bounds.run_id, self._capacity.children
        if only is not None and self._capacity.has_parents:
            only, children = None, Children.MINE
        return ClaimRequest(
            max=min(self._capacity.wanted, RUNS_PER_CLAIM_MAX),
            wait_s=wait_s,
            instance_id=self._identity.instance_id,
            epoch=self._identity.epoch,
            have=[row.held for row in self._journal.memory.rows(self._link.state.answering)],
            only=None if only is None else [only],
            children=children,
        )

    def send(self, request: ClaimRequest) -> Claimed:
        """Wait for its answer; raises httpx.HTTPError."""
        try:
            answer = self._client.claim(self._identity.worker_id, request)
        except httpx.HTTPError as error:
            self._link.failed(CLAIM, error)
            raise
        self._link.succeeded(CLAIM)
        return answer
