"""The views of attempts, drawn out of what is in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.execution_pipeline.types.step import step_name
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.progress import left_s
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.slots.gate import Gate
from gyoza_tui.worker.view.early_intents import EarlyIntents
from gyoza_tui.worker.view.snapshot import Progress, PullProgress, RunView, StepView, Waits
from gyoza_tui.worker.worker_context.types import WorkerContext

_INPUTS: Final = 200
"""Characters of a run's inputs that its view shows; a run may have a megabyte of them."""


class _Passing(NamedTuple):
    """What a view shows beside the row."""

    server_state: str | None
    held: bool
    pull: PullProgress | None
    kill_at: float | None
    again: RetryNotice | None
    returning: bool


class _Drawn(NamedTuple):
    """A view, and what it was drawn from."""

    row: RunRow
    passing: _Passing
    view: RunView


class RunViews:
    """Touches no disk; an attempt that did not change keeps the same RunView object."""

    def __init__(
        self,
        journal: Journal,
        link: ServerLink,
        slots: Slots,
        gate: Gate,
        intents: EarlyIntents,
        context: WorkerContext,
        pipeline: Pipeline,
    ) -> None:
        self._journal = journal
        self._link = link
        self._slots = slots
        self._gate = gate
        self._intents = intents
        self._context = context
        self._steps = [step_name(step) for step in pipeline.steps]
        self._drawn: dict[int, _Drawn] = {}

    def find(self, key: int) -> RunView | None:
        """Of what is not closed."""
        return next((view for view in self.every() if view.key == key), None)

    def closed(self, row: RunRow, entered: Mapping[str, float]) -> RunView:
        """Of a row of the history, which went into these steps."""
        return self._view(row, entered)

    def every(self) -> tuple[RunView, ...]:
        """Of all that is not closed, oldest first."""
        states = {op.id: op.state for op in self._context.running_ops}
        drawn: dict[int, _Drawn] = {}
        link = self._link.state
        for row in map(self._intents.intended, self._journal.rows()):
            held = link.holds(row.server_id)
            pull = self._slots.pull(row.key) if row.handle is None and row.outcome is None else None
            kill_at, again = self._slots.kill_at(row.key), self._slots.again(row.key)
            returning = self._gate.is_returning(row.key)
            passing = _Passing(states.get(row.run.id), held, pull, kill_at, again, returning)
            known = self._drawn.get(row.key)
            # the journal makes a new row with every change, an entered step included
            if known is None or known.row is not row or known.passing != passing:
                known = _Drawn(row, passing, self._view(row, self._journal.memory.steps(row.key), passing))
            drawn[row.key] = known
        self._drawn = drawn
        return tuple(each.view for each in drawn.values())

    def _view(self, row: RunRow, entered: Mapping[str, float], passing: _Passing | None = None) -> RunView:
        steps = _steps(self._steps, entered, row.left_at)
        known = self._drawn.get(row.key)
        inputs = known.view.inputs if known and known.row.run is row.run else inputs_line(row.run.inputs)
        return view_of(row, steps=steps, inputs=inputs, **passing._asdict() if passing else {})


def view_of(row: RunRow, **beside: Any) -> RunView:
    """The view of a row of the journal; `beside` are the fields that the row does not know."""
    run = row.run
    return RunView(
        key=row.key,
        run_id=run.id,
        attempt=row.attempt,
        op_name=run.op_name,
        image=run.image,
        backend=row.backend,
        server_id=row.server_id,
        claimed_at=row.claimed_at,
        op_definition=run.op_definition,
        topic=run.event_delivery.topic,
        step=row.step,
        intent=row.intent,
        intent_note=row.intent_note,
        start_asked=row.start_asked,
        started_at=row.started_at,
        frozen_since=row.frozen_since,
        freeze_by=row.freeze_by,
        parent_id=run.parent_id,
        may_submit=run.may_submit is not MaySubmit.NO,
        waits=_waits(row),
        exit=row.exit,
        outcome=row.outcome,
        outcome_note=row.outcome_note,
        last_line=row.last_line,
        outcome_at=row.outcome_at,
        acked=row.acked,
        cleaned=row.cleaned,
        adopted=row.adopted,
        progress=_progress(row),
        seen=row.seen or row.outcome is not Outcome.FAILED,
        gpu=run.constraints.gpu_id,
    )._replace(**beside)


def inputs_line(inputs: Mapping[str, Any]) -> str:
    """How a run's inputs begin, as one line of JSON. No more of them is written than is shown."""
    line = ""
    for piece in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(inputs):
        line += piece[: _INPUTS + 1]
        if len(line) > _INPUTS:
            return line[: _INPUTS - 1] + "…"
    return line if inputs else ""


def _steps(names: Sequence[str], entered: Mapping[str, float], left_at: float | None) -> tuple[StepView, ...]:
    """A step ends where the next one that was entered begins, the last one when all was cleaned up.

    An attempt of another pipeline shows the steps that it went into.
    """
    if not entered.keys() <= set(names):
        names = sorted(entered, key=entered.__getitem__)
    views: list[StepView] = []
    end = left_at
    for name in reversed(names):
        began = entered.get(name)
        if began is None:
            views.append(StepView(name))
        else:
            views.append(StepView(name, began, end if end is not None and end >= began else None))
            end = began
    return tuple(reversed(views))


def _waits(row: RunRow) -> Waits | None:
    if row.waiting_since is None or not row.waits:
        return None
    return Waits(row.waits_left, row.waits_of, row.waiting_since)


def _progress(row: RunRow) -> Progress | None:
    if row.progress is None or row.progress_at is None:
        return None
    return Progress(row.progress, row.progress_at, left_s(row))
