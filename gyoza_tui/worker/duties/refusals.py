"""What becomes of a report that the server refuses."""

from __future__ import annotations

import json

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, error_code, meaning, words
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import EventReport, OpRun
from gyoza_tui.models.states import EVENT_STATE, OWNED, EventType, RunState
from gyoza_tui.worker import endings
from gyoza_tui.worker.journal.journal import REPLACED, Journal
from gyoza_tui.worker.journal.outbox import OutboxRow
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir.state_dir import StateDir

_TOO_LARGE = (413, 422)
_SERVER_ERROR = 500


class Refusals:
    """Brings one refused report to its end, where it has one."""

    def __init__(
        self,
        client: GyozaClient,
        journal: Journal,
        state_dir: StateDir,
        slots: Slots,
        notices: Notices,
        worker_id: str,
    ) -> None:
        self._client = client
        self._journal = journal
        self._state_dir = state_dir
        self._slots = slots
        self._notices = notices
        self._worker_id = worker_id

    def settle(self, run: RunRow, row: OutboxRow, error: httpx.HTTPStatusError) -> bool:
        """Whether the report is done with; False: it is to be sent again later. Raises httpx.HTTPError."""
        if not row.moves_state:
            if error.response.status_code >= _SERVER_ERROR:
                return False
            self._journal.settled([row], refused=words(error))
            return True
        if meaning(error) is Meaning.TROUBLE:
            return self._settle_trouble(run, row, error)
        if row.event is None:
            return self._settle_giving_back(run, row, error)
        if row.event.type is EventType.STARTED:
            return self._settle_started(run, row, error)
        return self._settle_end(run, row, row.event, error)

    def _settle_trouble(self, run: RunRow, row: OutboxRow, error: httpx.HTTPStatusError) -> bool:
        too_large = error.response.status_code in _TOO_LARGE
        if not too_large or row.event is None or row.event.type is not EventType.COMPLETED:
            return False
        kept = self._state_dir.log_path(run.run_id, run.attempt, run.lease) / "outputs.json"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(row.event.payload))
        message = f"the server does not take the outputs ({words(error)}); they are kept in {kept}"
        endings.outputs_refused(self._journal, row, message)
        self._notices.say(f"{run.run_id}: {message}", "error", run=run.run_id)
        return True

    def _settle_giving_back(self, run: RunRow, row: OutboxRow, error: httpx.HTTPStatusError) -> bool:
        """Done once the attempt is no longer ours."""
        now = self._look(run)
        ours = now.state in OWNED and now.current_attempt == run.attempt and now.worker_id == self._worker_id
        if ours and error_code(error) != ErrorCode.NOT_YOURS:
            return False
        self._journal.settled([row])
        return True

    def _settle_started(self, run: RunRow, row: OutboxRow, error: httpx.HTTPStatusError) -> bool:
        """Not ours any more, or cancelled meanwhile, or taken at the first try whose answer was lost."""
        now = self._look(run)
        ours = now.current_attempt == run.attempt and now.worker_id in (None, self._worker_id)
        if row.tried and ours and now.state is RunState.RUNNING and error_code(error) != ErrorCode.NOT_YOURS:
            self._journal.settled([row])
        else:
            self._journal.settled([row], refused=words(error))
            self._end(run, now, words(error))
        return True

    def _settle_end(self, run: RunRow, row: OutboxRow, event: EventReport, error: httpx.HTTPStatusError) -> bool:
        now = self._look(run)
        if row.tried and _state_of(now, run.attempt) is EVENT_STATE[event.type]:
            self._journal.settled([row])
        elif self._wants_started_first(run, now, error):
            started = event.model_copy(update={"type": EventType.STARTED, "msg": "started", "payload": None})
            self._journal.replace(row, [started, event])
        else:
            self._journal.settled([row], refused=words(error))
            self._notices.say(
                f"{run.run_id}: the server has it as {now.state}; here it {run.outcome}: {run.outcome_note}",
                "warning",
                run=run.run_id,
            )
        return True

    def _end(self, run: RunRow, now: OpRun, note: str) -> None:
        if now.state is RunState.CANCELLED and now.current_attempt == run.attempt:
            self._slots.intend(run, Intent.CANCEL, "cancelled at the server", by_server=True)
        else:
            self._slots.intend(run, Intent.LOST, note)

    def _wants_started_first(self, run: RunRow, now: OpRun, error: httpx.HTTPStatusError) -> bool:
        """Whether this server takes no end of a run that is ASSIGNED to us. Asked once: it may refuse STARTED too."""
        if now.state is not RunState.ASSIGNED or now.current_attempt != run.attempt:
            return False
        ours = now.worker_id in (None, self._worker_id) and error_code(error) != ErrorCode.NOT_YOURS
        return ours and REPLACED not in self._journal.refusals(run.key)

    def _look(self, run: RunRow) -> OpRun:
        return self._client.get_run(run.run_id, events=False)


def _state_of(run: OpRun, attempt: int) -> RunState | None:
    """The attempt's state, which a retry may have followed; None when the server does not tell."""
    if run.current_attempt == attempt:
        return run.state
    return next((known.state for known in run.attempts if known.attempt == attempt), None)
