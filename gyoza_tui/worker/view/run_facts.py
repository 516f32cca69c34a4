"""What a filter looks at, out of an attempt of this worker."""

from __future__ import annotations

from gyoza_tui.models.filters import RunFacts
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.view.phase import Phase, phase_of


def facts_of(row: RunRow, worker_id: str) -> RunFacts:
    """Where a run has ended and is not delivered, its state is both; a frozen one is running too."""
    phase = phase_of(row)
    also = (row.outcome.value,) if row.outcome else (Phase.RUNNING.value,) if phase is Phase.FROZEN else ()
    states = (phase.value, *also)
    return RunFacts(
        id=row.run_id,
        states=states,
        op=row.run.op_name,
        image=row.run.image,
        note=" ".join((row.outcome_note or row.intent_note, row.last_line)),
        worker=worker_id,
        topic=row.run.event_delivery.topic,
        ended_at=row.outcome_at,
    )
