"""Tell the server what is wanted of a run that was frozen, or let go on, at this worker."""

from __future__ import annotations

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, meaning
from gyoza_tui.models.runs import RunPatch
from gyoza_tui.models.workers import Feature
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots.freeze_wishes import FreezeWishes


class FreezeReports:
    """The wish lives at the server; what was decided here while it was away is its news."""

    def __init__(
        self, client: GyozaClient, link: ServerLink, journal: Journal, wishes: FreezeWishes, identity: Identity
    ) -> None:
        self._client = client
        self._link = link
        self._journal = journal
        self._wishes = wishes
        self._by = f"worker {identity.worker_id}"

    def send(self) -> None:
        """A server that refuses it keeps to its own. Raises httpx.HTTPError where it does not answer."""
        state = self._link.state
        if Feature.FREEZE not in state.features:
            return
        for row in self._journal.memory.rows(state.answering):
            if row.freeze_untold and row.outcome is None:
                patch = RunPatch(frozen=bool(row.freeze_by), by=row.freeze_by or self._by)
                try:
                    self._client.patch_run(row.run_id, patch)
                except httpx.HTTPError as error:
                    if meaning(error) in (Meaning.SERVER_FAULT, Meaning.UNAUTHORIZED):
                        raise
                self._wishes.told(row)
