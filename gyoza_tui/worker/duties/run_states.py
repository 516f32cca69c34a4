"""Ask a server for each run, where its beats answer nothing about runs."""

from __future__ import annotations

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import error_code
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.worker_context.types import WorkerContext


class RunStates:
    def __init__(
        self, client: GyozaClient, link: ServerLink, journal: Journal, slots: Slots, context: WorkerContext
    ) -> None:
        self._client = client
        self._link = link
        self._journal = journal
        self._slots = slots
        self._context = context

    def ask(self) -> float | None:
        """The seconds until it is to be asked again; None for a server that says it by itself."""
        state = self._link.state
        if not state.registered or state.protocol is not None:
            return None
        trouble: httpx.HTTPStatusError | None = None
        for row in self._journal.memory.rows(state.answering):
            if row.acked:
                continue
            try:
                now = self._client.get_run(row.run_id, events=False)
            except httpx.HTTPStatusError as error:
                # one run's trouble must not hide a cancel of the next
                trouble = error
                if error_code(error) == ErrorCode.RUN_UNKNOWN and not row.started_acked:
                    self._slots.intend(row, Intent.LOST, "the server does not know it, and nothing was done")
            else:
                self._context.set_run_state(row.run_id, now.state)
                self._judge(row, now)
        if trouble is not None and error_code(trouble) != ErrorCode.RUN_UNKNOWN:
            raise trouble
        return state.heartbeat_s

    def _judge(self, row: RunRow, now: OpRun) -> None:
        if now.current_attempt > row.attempt or now.worker_id not in (None, self._context.worker_id):
            self._slots.intend(row, Intent.LOST, "the server gave it to another")
        elif now.state is RunState.CANCELLED:
            self._slots.intend(row, Intent.CANCEL, "cancelled at the server", by_server=True)
