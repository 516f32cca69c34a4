"""What a filter looks at, out of an attempt of this worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gyoza_tui.models import filters
from gyoza_tui.models.filters import RunFacts
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.phase import Phase, phase_of

if TYPE_CHECKING:
    from gyoza_tui.worker.snapshot import RunView


def facts_of(view: RunView, worker_id: str) -> RunFacts:
    """Where a run has ended and is not delivered, its state is both; a frozen one is running too."""
    row, phase = view.row, phase_of(view)
    also = (row.outcome.value,) if row.outcome else (Phase.RUNNING.value,) if phase is Phase.FROZEN else ()
    states = (phase.value, *also)
    return RunFacts(
        id=row.run_id,
        states=states,
        op=op_name(row.run),
        image=row.run.image,
        note=" ".join((row.outcome_note or row.intent_note, row.last_line)),
        worker=worker_id,
        topic=row.run.event_delivery.topic,
        ended_at=row.outcome_at,
    )


def op_name(run: OpRun) -> str:
    return filters.op_name(run.image, run.op_definition, run.op_version)
