"""How an attempt ended: every outcome is decided here, and written to the journal here.

COMPLETED   `completed`
FAILED      `failed`, or `outputs_refused` after COMPLETED
CANCELLED   `superseded`, by the intent CANCEL
RELEASED    `superseded`, by the intent RELEASE; `given_back` or `refused` without one
LOST        `superseded`, by the intent LOST
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from gyoza_tui.models.failures import Failure, FailureReason
from gyoza_tui.models.runs import EventReport, RunPatch
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.worker.ending_words import ending_words
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.outbox import OutboxRow
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow

Finish: TypeAlias = Callable[[Outcome, str, EventReport | None], None]
"""How an attempt's record takes its end, with a note and what is reported of it: `Record.finish`, or `Services.finish`,
which repeats that until the disk has room."""

_OF_INTENT: Final = {
    Intent.CANCEL: Outcome.CANCELLED,
    Intent.RELEASE: Outcome.RELEASED,
    Intent.LOST: Outcome.LOST,
}


def completed(finish: Finish, outputs: dict[str, Any]) -> None:
    """COMPLETED. By the step `complete_oprun`: exit 0, and outputs that can be read."""
    finish(Outcome.COMPLETED, "exit 0", EventReport(type=EventType.COMPLETED, payload=outputs))


def failed(finish: Finish, failure: Failure, words: str) -> None:
    """FAILED. By the step `complete_oprun`: any other end of the op; by the pipeline: a step raised."""
    report = EventReport(type=EventType.FAILED, msg=words[:200], payload=failure.model_dump(mode="json"))
    finish(Outcome.FAILED, words[:200], report)


def superseded(finish: Finish, intent: Intent, note: str) -> None:
    """CANCELLED, RELEASED or LOST. By the pipeline, once a step raised RunSuperseded and what ran is stopped.

    The steps raise it for an intent in the journal, and for RELEASE by themselves when the machine or a registry is at
    fault.
    """
    outcome = _OF_INTENT[intent]
    report = EventReport(type=EventType.CANCELLED, msg=note or None) if outcome is Outcome.CANCELLED else None
    finish(outcome, note, report)


def given_back(finish: Finish, why: str) -> None:
    """RELEASED. By a slot: the run has no backend here."""
    finish(Outcome.RELEASED, why, None)


def refused(journal: Journal, row: RunRow, worker_id: str, why: str, *, final: bool) -> None:
    """RELEASED. By the intake of a claim: the run is not begun here. `final`: this worker will never take it."""
    journal.update(row.key, cleaned=True)
    write(journal, row, worker_id, Outcome.RELEASED, why, None, final=final)


def outputs_refused(journal: Journal, completed: OutboxRow, message: str) -> None:
    """FAILED. By the delivery: the server does not take the outputs that `completed` reports."""
    event = completed.event
    assert event is not None
    failure = Failure(exit_code=0, reason=FailureReason.BAD_OUTPUT, message=message)
    told = {"type": EventType.FAILED, "msg": message[:200], "payload": failure.model_dump(mode="json")}
    journal.replace(completed, [event.model_copy(update=told)])
    journal.update(completed.run, outcome=Outcome.FAILED, outcome_note=message)


def write(
    journal: Journal,
    row: RunRow,
    worker_id: str,
    outcome: Outcome,
    note: str,
    report: EventReport | None,
    *,
    final: bool = False,
) -> str | None:
    """Journal the end together with what tells the server of it; the note as it stands then, None after another end.

    By `AttemptRecord.finish`, which is the `finish` of the functions above, and by `refused`.
    """
    reports: list[EventReport | RunPatch] = [report] if report else []
    if outcome is Outcome.RELEASED:
        reports = [_giving_back(row, worker_id, note, final=final)]
    note, last_line = ending_words(note, report)
    return note if journal.finish(row.key, outcome, note, reports, last_line=last_line) else None


def _giving_back(row: RunRow, worker_id: str, why: str, *, final: bool) -> RunPatch:
    return RunPatch(
        state=RunState.PENDING,
        worker_id=worker_id,
        attempt=row.attempt,
        lease=row.lease,
        reason=why[:500] or None,
        final=final or None,
    )
