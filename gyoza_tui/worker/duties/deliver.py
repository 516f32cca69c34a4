"""Bring the outbox to the server: in order per run, once, until it has accepted or refused."""

from __future__ import annotations

import heapq
from typing import Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.client.answers import Meaning, error_code, meaning, retry_after_s, words
from gyoza_tui.client.endpoints import ADD_EVENT, UPDATE_RUN, Endpoint
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import RunPatch
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.refusals import Refusals
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.outbox import OutboxRow
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.wakes import Wakes

_BATCH: Final = 100
_BATCH_BYTES: Final = 1 * MIB
_IDLE_S: Final = 30.0
UNKNOWN_RUN_S: Final = 600.0
"""How often a result is offered to a server that does not know the run."""
_ENDPOINTS: Final = (ADD_EVENT, UPDATE_RUN)
"""What reports go to: events, and runs that are given back."""


class Deliver(Duty):
    name = "deliver"

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        wakes: Wakes,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        slots: Slots,
        refusals: Refusals,
    ) -> None:
        super().__init__(clock, notices, wakes.deliver)
        self._client = client
        self._link = link
        self._journal = journal
        self._slots = slots
        self._refusals = refusals
        self._server: str | None = None
        """Whose rows the reports in `_ready` are of."""
        self._ready: set[int] = set(journal.memory.with_reports(None))
        """Rows with reports that may be sent now."""
        self._backoffs: dict[int, Backoff] = {}
        self._due: list[tuple[float, int]] = []
        """A heap: when each row that backs off may be tried again, in boot time."""
        self._unknown: set[int] = set()
        """Runs that the server says it does not know."""
        self._singly: set[int] = set()
        """Runs whose last list was refused: their events go one by one."""

    def tick(self) -> float:
        if not self._link.state.registered and self._link.state.name_held is None:
            return _IDLE_S
        waits = {endpoint: self._link.wait_s(endpoint) for endpoint in _ENDPOINTS}
        if (wait := min(waits.values())) > 0:
            return wait
        waiting: list[float] = []
        for key in self._find_ready():
            run = self._journal.get(key)
            if run is None or self._link.state.holds(run.server_id):
                self._forget(key)
            elif any(waits.values()) and (wait := waits[self._next_endpoint(run)]) > 0:
                waiting.append(wait)
            elif self._deliver(run):
                self._ready.discard(key)
        if len(self._ready) > len(waiting):
            return 0.0
        return min([_IDLE_S, *waiting, *(max(0.0, due - self._clock.boot()) for due, _ in self._due[:1])])

    def retry_s(self) -> float:
        return max(min(map(self._link.wait_s, _ENDPOINTS)), super().retry_s())

    def waiting(self) -> int:
        """Reports that the server that answers now could take; held and unknown runs don't count."""
        return self._journal.memory.unreported(self._link.state.answering, self._unknown)

    def settled(self) -> bool:
        """Whether nothing is left to finish, nor to report that the server could take."""
        return not self._slots.busy and self.waiting() == 0

    def _find_ready(self) -> list[int]:
        """The rows to deliver now, oldest first.

        What is held, or backs off, is not looked at until its server answers or its time has come.
        """
        memory, now = self._journal.memory, self._clock.boot()
        queued, answering = memory.newly_queued(), self._link.state.answering
        if answering != self._server:
            for key in tuple(self._ready):
                self._forget(key)
            self._server, queued = answering, set(memory.with_reports(answering))
        self._ready |= queued - self._backoffs.keys()
        while self._due and self._due[0][0] <= now:
            self._ready.add(heapq.heappop(self._due)[1])
        return sorted(self._ready)

    def _forget(self, key: int) -> None:
        """The row has no reports to deliver now: they are delivered, it is closed, or it is held."""
        self._ready.discard(key)
        self._backoffs.pop(key, None)
        self._unknown.discard(key)
        self._singly.discard(key)

    def _deliver(self, run: RunRow) -> bool:
        """Send what waits of the run; False when more came meanwhile. Raises when the server is the trouble."""
        journal = self._journal
        left = journal.memory.reports_of(run)
        while left > 0 and (rows := journal.outbox(run.key, _BATCH)):
            self.goes_on()
            batch = self._batch(run, rows)
            try:
                self._send(run, batch)
            except httpx.HTTPError as error:
                if not self._settle_failure(run, batch, error):
                    return True
            else:
                self._link.succeeded(_endpoint_of(batch))
                journal.settled(batch)
                self._slots.wake(run.key)
            left -= len(batch)
        if journal.memory.reports_of(run):
            return False
        self._forget(run.key)
        return True

    def _next_endpoint(self, run: RunRow) -> Endpoint[object]:
        return _endpoint_of(self._journal.outbox(run.key, 1))

    def _batch(self, run: RunRow, rows: list[OutboxRow]) -> list[OutboxRow]:
        """The next rows that go in one request."""
        if self._link.state.protocol is None or rows[0].event is None or run.key in self._singly:
            return rows[:1]
        batch, size = rows[:1], 0
        for row in rows[1:_BATCH]:
            size += len(row.report.model_dump_json())
            if row.event is None or size > _BATCH_BYTES:
                break
            batch.append(row)
        return batch

    def _send(self, run: RunRow, batch: list[OutboxRow]) -> None:
        client = self._client
        if any(row.moves_state for row in batch):
            self._journal.tried(row.id for row in batch)
        first = batch[0]
        if isinstance(first.report, RunPatch):
            client.patch_run(run.run_id, first.report)
        elif len(batch) == 1:
            event = first.report.model_copy(update={"seq": first.seq})
            fence = event.model_dump(exclude={"type", "msg", "payload"}, exclude_none=True)
            client.add_event(run.run_id, event.type, event.msg, event.payload, **fence)
        else:
            client.add_events(run.run_id, [row.event.model_copy(update={"seq": row.seq}) for row in batch if row.event])

    def _settle_failure(self, run: RunRow, batch: list[OutboxRow], error: httpx.HTTPError) -> bool:
        """Whether delivery of this run goes on; raises when the server is the trouble."""
        kind = meaning(error)
        if kind in (Meaning.SERVER_FAULT, Meaning.UNAUTHORIZED, Meaning.FORBIDDEN):
            self._link.failed(_endpoint_of(batch), error)
            raise error
        assert isinstance(error, httpx.HTTPStatusError)
        if not error.response.is_server_error:
            self._link.succeeded(_endpoint_of(batch))
        if len(batch) > 1:
            self._singly.add(run.key)
            return True
        self._singly.discard(run.key)
        try:
            if self._refusals.settle(run, batch[0], error):
                self._slots.wake(run.key)
                return True
        except httpx.HTTPStatusError as second:
            error = second
        self._back_off(run.key, error)
        self._notices.say(f"{run.run_id}: report not taken: {words(error)}", "warning", run=run.run_id)
        return False

    def _back_off(self, key: int, error: httpx.HTTPStatusError) -> None:
        backoff = self._backoffs.setdefault(key, Backoff(self._clock))
        if error_code(error) == ErrorCode.RUN_UNKNOWN:
            self._unknown.add(key)
            backoff.pause(UNKNOWN_RUN_S)
        else:
            backoff.fail(retry_after_s(error))
        heapq.heappush(self._due, (self._clock.boot() + backoff.remaining_s, key))


def _endpoint_of(rows: list[OutboxRow]) -> Endpoint[object]:
    """Where the first of the reports goes to."""
    return UPDATE_RUN if rows and rows[0].event is None else ADD_EVENT
