"""What a worker reports of an attempt: fenced by its lease, taken once by its seq."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.limits import EVENTS_PER_ATTEMPT_MAX
from gyoza_tui.models.runs import EventsAccepted
from gyoza_tui.models.states import EVENT_STATE, OP_EVENTS, OWNED, EventType, RunState
from gyoza_tui.models.values import json_size
from gyoza_tui.server import assignment, eviction, run_ends
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.errors import Refused, invalid, not_yours
from gyoza_tui.server.received import Report
from gyoza_tui.server.rows import attempt_row, dumps
from gyoza_tui.server.run_change import Entry, RunChange
from gyoza_tui.server.server_time import to_micros
from gyoza_tui.server.shared_state import SharedState

SEQ_MAX = 2**53


def report(shared: SharedState, tx: Transaction, run_id: str, reports: list[Report]) -> EventsAccepted:
    """Take one event, or a list of one attempt's in one transaction."""
    if len({(r.event.attempt, r.event.lease, r.event.worker_id) for r in reports}) > 1:
        raise invalid("a list holds events of one attempt and lease only")
    run = RunChange(shared, tx, run_id)
    taken = [_Report(run, one, alone=len(reports) == 1).take() for one in reports]
    return EventsAccepted(
        accepted=sum(taken),
        dropped=len(taken) - sum(taken),
        state=run.state,
        current_attempt=run.run.current_attempt,
    )


class Fence:
    """Whose report it claims to be."""

    def __init__(self, worker_id: str | None, attempt: int | None, lease: str | None) -> None:
        self.worker_id = worker_id
        self.attempt = attempt
        self.lease = lease

    def passed(self, run: RunChange) -> Row[Any]:
        """The attempt it is about; Refused when the lease is not the attempt's last one."""
        number = run.run.current_attempt if self.attempt is None else self.attempt
        row = attempt_row(run.tx.connection, run.run.id, number)
        if row is None or row.lease is None or self.worker_id not in (None, row.worker_id):
            raise not_yours(run.run.id)
        # without a lease only a worker that never said which instance it is
        unfenced = self.lease is None and row.instance_id is None
        if not unfenced and self.lease != row.lease:
            raise not_yours(run.run.id)
        return row


class _Report:
    def __init__(self, run: RunChange, report: Report, *, alone: bool) -> None:
        event = report.event
        if event.seq is not None and event.seq > SEQ_MAX:
            raise invalid(f"seq is at most {SEQ_MAX}")
        self.run = run
        self.event = event
        self.alone = alone
        t = None if event.t is None else to_micros(event.t)
        self.entry = Entry(event.type, event.msg, report.payload, t)

    def take(self) -> bool:
        """Whether it was accepted; False for one dropped over the attempt's limit."""
        event, run = self.event, self.run
        fence = Fence(event.worker_id, event.attempt, event.lease)
        row = self._owned_once(fence)
        if event.seq is not None and event.lease is not None and event.seq <= row.last_seq and not self._is_news(row):
            return True
        if row.worker_id is None:
            raise not_yours(run.run.id)
        taken = True
        if row.attempt == run.run.current_attempt and run.state in OWNED and row.held:
            taken = self._live(row)
        else:
            self._late(row)
        if event.seq is not None:
            run.set_attempt(row.attempt, last_seq=max(event.seq, row.last_seq))
        return taken

    def _is_news(self, row: Row[Any]) -> bool:
        """An end of an attempt that has none is no repeat: a journal put back from a backup counts again from there."""
        kind = self.event.type
        ends = kind in EVENT_STATE and EVENT_STATE[kind].terminal
        return ends and bool(row.held) and row.state in OWNED

    def _owned_once(self, fence: Fence) -> Row[Any]:
        """As the fence has it, but an attempt that went back unstarted remembers its last lease for known seqs."""
        if self.event.lease is not None:
            number = self.run.run.current_attempt if fence.attempt is None else fence.attempt
            row = attempt_row(self.run.tx.connection, self.run.run.id, number)
            if row is not None and row.worker_id is None and row.lease == self.event.lease:
                return row
        return fence.passed(self.run)

    def _live(self, row: Row[Any]) -> bool:
        run, entry = self.run, self.entry
        match entry.type:
            case EventType.STARTED:
                assignment.start(run, entry)
            case EventType.COMPLETED:
                run_ends.complete(run, entry)
            case EventType.FAILED:
                run_ends.fail(run, entry)
            case EventType.CANCELLED:
                run_ends.end_cancelled(run, entry)
            case EventType.ASSIGNED | EventType.RETRIED:
                raise Refused(400, ErrorCode.TRANSITION, f"{entry.type} is the server's own event")
            case _:
                return self._line(row)
        return True

    def _line(self, row: Row[Any]) -> bool:
        """PROGRESS has no budget, because only the last ones are kept."""
        if self.entry.type is EventType.PROGRESS:
            self.run.set_attempt(row.attempt, progress=dumps(self.entry.msg))
        else:
            payload = self.entry.payload
            size = row.events_bytes + json_size([self.entry.msg, None]) + (0 if payload is None else payload.size)
            if size > EVENTS_PER_ATTEMPT_MAX:
                return False
            self.run.set_attempt(row.attempt, events_bytes=size)
        self.run.record(row.attempt, self.entry)
        return True

    def _late(self, row: Row[Any]) -> None:
        """About an attempt that is over, or not the run's any more."""
        run, kind = self.run, self.entry.type
        if kind is EventType.COMPLETED and row.taken_back and eviction.may_come_late(run, row.attempt):
            eviction.complete_late(run, row.attempt, self.entry)
            return
        ended = kind in EVENT_STATE and kind is not EventType.STARTED
        if ended and row.held:
            run.free(row.attempt)
        if kind is EventType.CANCELLED and row.state == RunState.CANCELLED:
            run.record(row.attempt, self.entry)
            return
        # what it freed stays free
        keep = self.alone and ended
        if RunState(row.state).terminal and not (kind in OP_EVENTS and row.attempt != run.run.current_attempt):
            words = f"run {run.run.id}: attempt {row.attempt} is {row.state} already"
            raise Refused(409, ErrorCode.TERMINAL, words, keep=keep)
        raise not_yours(run.run.id, keep=keep)
