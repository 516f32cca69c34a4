"""Freezing and thawing as a person at a screen asks for it: at the server, or here while that is away."""

from __future__ import annotations

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, meaning, words
from gyoza_tui.models.runs import RunPatch
from gyoza_tui.models.workers import Feature
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots.freeze_wishes import FreezeWishes
from gyoza_tui.worker.view.control import ControlError


class Freezes:
    def __init__(
        self,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        pool: BackendPool,
        wishes: FreezeWishes,
        identity: Identity,
    ) -> None:
        self._client = client
        self._link = link
        self._journal = journal
        self._pool = pool
        self._wishes = wishes
        self._by = f"a person at {identity.worker_id}"

    def freeze(self, key: int) -> None:
        row = self._row(key)
        if row.started_at is None or row.exit is not None or row.outcome is not None:
            raise ControlError(f"{row.run_id} is not at work: there is nothing to freeze")
        if row.intent is not Intent.NONE:
            raise ControlError(f"{row.run_id} is being stopped")
        if not self._pool[row.backend].capabilities.freezes:
            raise ControlError(f"{row.run_id} is not frozen: the backend {row.backend} cannot do that")
        self._ask(row, frozen=True)

    def thaw(self, key: int) -> None:
        self._ask(self._row(key), frozen=False)

    def _row(self, key: int) -> RunRow:
        row = self._journal.get(key)
        if row is None:
            raise KeyError(key)
        return row

    def _ask(self, row: RunRow, *, frozen: bool) -> None:
        if not self._is_told(row, frozen=frozen):
            self._wishes.ask(row, self._by, frozen=frozen)

    def _is_told(self, row: RunRow, *, frozen: bool) -> bool:
        """Whether the server now wants it, of which the next beat's answer tells. Raises ControlError if it refuses."""
        state = self._link.state
        if frozen == row.server_wants_frozen or Feature.FREEZE not in state.features or state.holds(row.server_id):
            return False
        try:
            self._client.patch_run(row.run_id, RunPatch(frozen=frozen, by=self._by))
        except httpx.HTTPError as error:
            if meaning(error) is Meaning.SERVER_FAULT:
                return False
            raise ControlError(f"{row.run_id}: the server says: {words(error)}") from None
        return True
