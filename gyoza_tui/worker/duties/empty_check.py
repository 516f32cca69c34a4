"""Whether a bounded session has anything left to claim.

The claim duty asks while no claim of it is open. The server gives runs to open claims alone: when the session ends by
this answer no run can be on its way here.
"""

from __future__ import annotations

from typing import Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import error_code
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import OWNED, RunState
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.session import Session
from gyoza_tui.worker.worker_context.types import WorkerContext

_SURE: Final = 2
"""Answers without a run, one after another: the first may only have meant "beat, then claim"."""
_PAGE: Final = 200
_AGAIN_S: Final = 0.5


class EmptyCheck:
    """What a session that ends by its work has still to do."""

    def __init__(
        self,
        client: GyozaClient,
        link: ServerLink,
        session: Session,
        deliver: Deliver,
        admission: Admission,
        context: WorkerContext,
        notices: Notices,
    ) -> None:
        self._client = client
        self._link = link
        self._session = session
        self._deliver = deliver
        self._admission = admission
        self._context = context
        self._notices = notices
        self._nothing = 0
        self._told: str | None = None

    @property
    def quiet(self) -> bool:
        """Whether the next answer may end the session: no run is here, and the server knows how all ended."""
        return self._session.bounds.by_work and self._deliver.settled()

    def something_came(self) -> None:
        self._nothing = 0

    def nothing_came(self, asked_for: int) -> float:
        """A claim for so many, made while all was quiet, was answered with none; seconds until the next one."""
        if self._session.bounds.run_id is not None:
            self._look_at(self._session.bounds.run_id)
        elif asked_for:
            self._nothing += 1
            if self._nothing < _SURE:
                return 0.0
            if not self._queued_for_us():
                self._session.end("nothing is queued that this worker could take")
        return _AGAIN_S

    def _look_at(self, run_id: str) -> None:
        try:
            run = self._client.get_run(run_id, events=False)
        except httpx.HTTPStatusError as error:
            if error_code(error) != ErrorCode.RUN_UNKNOWN:
                raise
            self._session.end(f"the server knows no run {run_id}")
            return
        if run.state.terminal:
            self._session.end(f"{run_id} is {run.state}", run.state)
        elif run.state in OWNED and run.worker_id not in (None, self._context.worker_id):
            self._session.end(f"{run_id} is at worker {run.worker_id}")
        elif run.placement and run.placement != self._told:
            self._told = run.placement
            self._notices.say(f"{run_id} waits: {run.placement}", "warning", run=run_id)

    def _queued_for_us(self) -> bool:
        """Whether a run waits that this worker could take: also one whose time has not come, as before a retry."""
        state = self._link.state
        if state.protocol is None or state.queued == 0:
            return False
        cursor = None
        while True:
            page = self._client.list_runs(state=RunState.PENDING, limit=_PAGE, after=cursor)
            if any(map(self._suits, page.items)):
                return True
            cursor = page.cursor
            if not cursor or not page.items:
                return False

    def _suits(self, run: OpRun) -> bool:
        if run.held is not None:  # it may be held for ever
            return False
        admission, tags = self._admission, set(self._context.tags)
        gpus = [set(gpu.tags) for gpu in admission.offered.gpus]
        tagged = any(set(run.tags) <= tags | more for more in (set(), *gpus))
        return tagged and admission.could_take(run)
