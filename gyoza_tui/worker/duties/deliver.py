"""Bring the outbox to the server: in order per run, once, until it has accepted or refused."""

from __future__ import annotations

import itertools
from typing import Final

import httpx

from gyoza_tui.client.answers import Meaning, error_code, meaning, retry_after_s, words
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.backoff import Backoff
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.refusals import Refusals
from gyoza_tui.worker.outbox import OutboxRow
from gyoza_tui.worker.run_row import RunRow
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots

_BATCH: Final = 100
_BATCH_BYTES: Final = 1 * MIB
_IDLE_S: Final = 30.0
UNKNOWN_RUN_S: Final = 600.0
"""How often a result is offered to a server that does not know the run."""


class Deliver(Duty):
    name = "deliver"

    def __init__(self, runtime: Runtime, slots: Slots) -> None:
        super().__init__(runtime.clock, runtime.notices, runtime.wakes.deliver)
        self._runtime = runtime
        self._slots = slots
        self._refusals = Refusals(runtime, slots)
        self._backoffs: dict[int, Backoff] = {}
        self._unknown: set[int] = set()
        """Runs that the server says it does not know."""
        self._singly: set[int] = set()
        """Runs whose last list was refused: their events go one by one."""
        runtime.link.wakes(runtime.wakes.deliver)

    def tick(self) -> float:
        runtime = self._runtime
        if not runtime.link.state.registered and runtime.link.state.name_held is None:
            return _IDLE_S
        if (wait := runtime.link.backoff.remaining_s) > 0:
            return wait
        self._forget_closed()
        for key, rows in itertools.groupby(runtime.journal.outbox(), key=lambda row: row.run):
            run = runtime.journal.get(key)
            if run is not None and not runtime.held(run) and self._backoff_of(key).remaining_s == 0:
                self._deliver(run, list(rows))
        waits = [b.remaining_s for b in self._backoffs.values() if b.remaining_s > 0]
        return min([_IDLE_S, *waits])

    def retry_s(self) -> float:
        return max(self._runtime.link.backoff.remaining_s, super().retry_s())

    def waiting(self) -> int:
        """Reports that the server that answers now could take; held and unknown runs don't count."""
        runtime = self._runtime
        return sum(
            1
            for row in runtime.journal.rows()
            if not row.acked and row.outcome is not None and not runtime.held(row) and row.key not in self._unknown
        )

    def settled(self) -> bool:
        """Whether no run is here, and nothing is left to report that the server could take."""
        return self._slots.count == 0 and not self._runtime.active() and self.waiting() == 0

    def _forget_closed(self) -> None:
        open_keys = {row.key for row in self._runtime.journal.rows()}
        self._backoffs = {key: backoff for key, backoff in self._backoffs.items() if key in open_keys}
        self._singly &= open_keys
        self._unknown &= open_keys

    def _backoff_of(self, key: int) -> Backoff:
        if key not in self._backoffs:
            self._backoffs[key] = Backoff(self._clock)
        return self._backoffs[key]

    def _deliver(self, run: RunRow, rows: list[OutboxRow]) -> None:
        while rows:
            batch = self._batch(run, rows)
            try:
                self._send(run, batch)
            except httpx.HTTPError as error:
                if not self._settle_failure(run, batch, error):
                    return
                break
            self._runtime.link.succeeded()
            self._runtime.journal.settled(batch)
            self._slots.wake(run.key)
            del rows[: len(batch)]
        self._backoffs.pop(run.key, None)
        self._unknown.discard(run.key)
        if rows:
            self._wake.set()

    def _batch(self, run: RunRow, rows: list[OutboxRow]) -> list[OutboxRow]:
        """The next rows that go in one request."""
        if self._runtime.link.state.protocol is None or rows[0].event is None or run.key in self._singly:
            return rows[:1]
        batch, size = rows[:1], 0
        for row in rows[1:_BATCH]:
            size += len(row.report.model_dump_json())
            if row.event is None or size > _BATCH_BYTES:
                break
            batch.append(row)
        return batch

    def _send(self, run: RunRow, batch: list[OutboxRow]) -> None:
        client, journal = self._runtime.client, self._runtime.journal
        if any(row.moves_state for row in batch):
            journal.tried(row.id for row in batch)
        first = batch[0]
        if first.event is None:
            client.update_run(run.run_id, **first.report.model_dump(exclude_none=True))
        elif len(batch) == 1:
            event = first.event.model_copy(update={"seq": first.seq})
            fence = event.model_dump(exclude={"type", "msg", "payload"}, exclude_none=True)
            client.add_event(run.run_id, event.type, event.msg, event.payload, **fence)
        else:
            client.add_events(run.run_id, [row.event.model_copy(update={"seq": row.seq}) for row in batch if row.event])

    def _settle_failure(self, run: RunRow, batch: list[OutboxRow], error: httpx.HTTPError) -> bool:
        """Whether delivery of this run goes on; raises when the server is the trouble."""
        kind = meaning(error)
        if kind in (Meaning.SERVER_FAULT, Meaning.UNAUTHORIZED):
            self._runtime.link.failed(error)
            raise error
        assert isinstance(error, httpx.HTTPStatusError)
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
        if error_code(error) == ErrorCode.RUN_UNKNOWN:
            self._unknown.add(run.key)
            self._backoff_of(run.key).pause(UNKNOWN_RUN_S)
        else:
            self._backoff_of(run.key).fail(retry_after_s(error))
        self._runtime.notices.say(f"{run.run_id}: report not taken: {words(error)}", "warning", run=run.run_id)
        return False
