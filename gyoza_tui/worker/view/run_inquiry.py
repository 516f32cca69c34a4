"""What a person asks about one attempt: of the server, of the engine. Every word of it may take seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx

from gyoza_tui.backends.base import AttemptPhase, Backend, BackendError, Handle
from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, error_code, meaning, words
from gyoza_tui.client.children import children_of
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.journal.journal import REPLACED, Journal
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.view.control import Child, Children, ControlError, RunDetails
from gyoza_tui.worker.view.history import RunHistory
from gyoza_tui.worker.view.run_views import RunViews
from gyoza_tui.worker.view.snapshot import RunView

_ASK_S: Final = 4.0
_ENOUGH_S: Final = 10.0
"""For a change, whose answer a person wants to know."""
_T = TypeVar("_T")


class RunInquiry:
    """Of one worker. KeyError for an attempt that is neither here nor in the history."""

    def __init__(
        self,
        client: GyozaClient,
        link: ServerLink,
        pool: BackendPool,
        journal: Journal,
        views: RunViews,
        history: RunHistory,
    ) -> None:
        self._client = client
        self._link = link
        self._pool = pool
        self._journal = journal
        self._views = views
        self._history = history

    def view(self, key: int) -> RunView:
        return self._views.find(key) or self._history.view(key)

    def row(self, key: int) -> RunRow:
        open_rows = self._journal.rows()
        return next((row for row in open_rows if row.key == key), None) or self._history.row(key)

    def details(self, key: int) -> RunDetails:
        """Also when the server does not answer."""
        view = self.view(key)
        refused = tuple(said for said in self._journal.refusals(key) if said != REPLACED)
        if self._link.state.holds(view.server_id):
            return RunDetails(view, None, "another server answers now; this run is of a former one", refused)
        try:
            server = self._client.get_run(view.run_id, timeout_s=_ASK_S)
        except httpx.HTTPError as error:
            return RunDetails(view, None, self._trouble(error), refused)
        return RunDetails(view, server.model_copy(update={"env": {}}), None, refused)

    def children(self, key: int) -> Children:
        """Raises ControlError when the server does not answer."""
        view = self.view(key)
        if self._link.state.holds(view.server_id):
            raise ControlError("another server answers now; this run is of a former one")
        try:
            found = children_of(self._client, view.run_id)
        except httpx.HTTPError as error:
            raise ControlError(f"its children are not known: {self._trouble(error)}") from None
        return Children(tuple(map(_child, found.runs)), found.more)

    def why_queued(self) -> str:
        """Of the run that waits and was created last. Raises ControlError when the server does not answer."""
        try:
            waiting = self._client.list_runs(state=RunState.PENDING, limit=1).items
        except httpx.HTTPError as error:
            raise ControlError(f"what is queued is not known: {self._trouble(error)}") from None
        return next((f"{run.id} {run.placement}" for run in waiting if run.placement), "")

    def retry(self, run_id: str) -> OpRun:
        """Raises ControlError when the server does not answer, or refuses."""
        try:
            return self._client.update_run(run_id, state=RunState.PENDING, timeout_s=_ENOUGH_S)
        except httpx.HTTPError as error:
            raise ControlError(f"{run_id} is not queued again: {self._trouble(error)}") from None

    def describe(self, key: int) -> dict[str, Any]:
        row, backend, handle = self._container(key)
        return self._asked(row, lambda: backend.describe(handle))

    def shell(self, key: int) -> tuple[str, ...]:
        row, backend, handle = self._container(key)
        state = self._asked(row, lambda: backend.state(handle))
        if state is AttemptPhase.GONE:
            raise ControlError(f"the container of {row.run_id} is gone")
        if state is AttemptPhase.CREATED:
            raise ControlError(f"the container of {row.run_id} is not started yet")
        if state is not AttemptPhase.RUNNING:
            raise ControlError(f"the container of {row.run_id} has ended: there is nothing to open a shell in")
        return self._asked(row, lambda: backend.shell(handle))

    def _container(self, key: int) -> tuple[RunRow, Backend, Handle]:
        row = self.row(key)
        if row.backend not in self._pool:
            raise ControlError(f"{row.run_id} has no container: it never had a backend here")
        if row.cleaned:
            raise ControlError(f"the container of {row.run_id} is gone: it was removed when the run had ended")
        if row.handle is None:
            raise ControlError(f"{row.run_id} has no container yet")
        return row, self._pool[row.backend], row.handle

    def _asked(self, row: RunRow, ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except BackendError as error:
            raise ControlError(f"{row.run_id}: {error}") from None

    def _trouble(self, error: httpx.HTTPError) -> str:
        if isinstance(error, httpx.HTTPStatusError) and error_code(error) == ErrorCode.RUN_UNKNOWN:
            return "the server does not know it"
        if meaning(error) is Meaning.SERVER_FAULT:
            return f"the server {self._client.base_url} does not answer: {words(error)}"
        return f"the server says: {words(error)}"


def _child(run: OpRun) -> Child:
    return Child(
        run_id=run.id,
        op_name=run.op_name,
        state=run.state_word,
        attempt=run.current_attempt,
        progress=run.progress,
        worker_id=run.worker_id,
        note=run.execution_summary.error_message or run.placement or "",
    )
