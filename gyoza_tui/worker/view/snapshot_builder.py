"""Draws the snapshot, and the view of one attempt, out of what is in memory."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gyoza_tui.worker.duties.duty import Duty, DutyStatus
from gyoza_tui.worker.execution_pipeline.types.step import step_name
from gyoza_tui.worker.journal.progress import left_s
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.runtime import Runtime
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.view.early_intents import EarlyIntents
from gyoza_tui.worker.view.snapshot import Failures, Progress, PullProgress, RunView, Snapshot, StepView, Tally


class _Passing(NamedTuple):
    """What a view shows beside the row."""

    server_state: str | None
    held: bool
    pull: PullProgress | None
    kill_at: float | None
    again: RetryNotice | None

    @classmethod
    def of(cls, view: RunView) -> _Passing:
        return cls(view.server_state, view.held, view.pull, view.kill_at, view.again)


class SnapshotBuilder:
    """Of one worker. Touches no disk; an attempt that did not change keeps the same RunView object."""

    def __init__(self, runtime: Runtime, slots: Slots, intents: EarlyIntents, duties: Sequence[Duty]) -> None:
        self._runtime = runtime
        self._slots = slots
        self._intents = intents
        self._duties = duties
        self._steps = [step_name(step) for step in runtime.pipeline.steps]
        self._versions = itertools.count(1)
        self._views: dict[int, RunView] = {}

    def snapshot(self) -> Snapshot:
        runtime = self._runtime
        link, context, memory = runtime.link.state, runtime.context, runtime.journal.memory
        rows = memory.rows()
        outcomes, unseen = memory.outcomes, memory.unseen
        return Snapshot(
            version=next(self._versions),
            taken_at=runtime.clock.boot(),
            utc=runtime.clock.utc().timestamp(),
            worker_id=context.worker_id,
            state=runtime.mode.state,
            refusal=runtime.mode.refusal,
            max_runs=runtime.capacity.max_runs,
            free_slots=runtime.capacity.free_slots,
            server_url=runtime.client.base_url,
            link=link,
            next_try_s=runtime.link.next_try_s,
            backends=runtime.pool.trouble,
            gpu_trouble=runtime.pool.gpu_trouble,
            foreign=runtime.foreign.now,
            to_deliver=runtime.journal.waiting,
            runs=self._open(rows),
            duties=self.duties(),
            hardware=runtime.history.latest(),
            disk=runtime.mode.disk,
            disk_free_mb=runtime.mode.disk_free_mb,
            disk_warning=runtime.mode.disk_warning,
            tally=_tally(outcomes),
            failures=Failures(unseen.number, unseen.since),
            history_version=memory.version,
            down_since=link.down_since,
        )

    def duties(self) -> tuple[DutyStatus, ...]:
        return tuple(duty.status for duty in self._duties)

    def open_view(self, key: int) -> RunView | None:
        """Of what is not closed."""
        return next((view for view in self._open(self._runtime.journal.rows()) if view.key == key), None)

    def view(self, row: RunRow, entered: Mapping[str, float]) -> RunView:
        """Of a row of the history, which went into these steps."""
        return self._drawn(row, entered, _Passing(None, False, None, None, None))

    def _open(self, rows: Sequence[RunRow]) -> tuple[RunView, ...]:
        states = {op.id: op.state for op in self._runtime.context.running_ops}
        known, views = self._views, {}
        link = self._runtime.link.state
        for row in map(self._intents.intended, rows):
            held = link.holds(row.server_id)
            pull = self._slots.pull(row.key) if row.handle is None and row.outcome is None else None
            kill_at, again = self._slots.kill_at(row.key), self._slots.again(row.key)
            passing = _Passing(states.get(row.run.id), held, pull, kill_at, again)
            view = known.get(row.key)
            # the journal makes a new row with every change, an entered step included
            same = view is not None and view.row is row
            if view is None or not same or _Passing.of(view) != passing:
                view = self._drawn(row, self._runtime.journal.memory.steps(row.key), passing)
            views[row.key] = view
        self._views = views
        return tuple(views.values())

    def _drawn(self, row: RunRow, entered: Mapping[str, float], passing: _Passing) -> RunView:
        return RunView(
            row=row,
            server_state=passing.server_state,
            held=passing.held,
            adopted=row.adopted,
            steps=_steps(self._steps, entered, row.left_at),
            progress=_progress(row),
            pull=passing.pull,
            kill_at=passing.kill_at,
            again=passing.again,
            seen=row.seen or row.outcome is not Outcome.FAILED,
            gpu=row.run.constraints.gpu_id,
        )


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


def _progress(row: RunRow) -> Progress | None:
    if row.progress is None or row.progress_at is None:
        return None
    return Progress(row.progress, row.progress_at, left_s(row))


def _tally(outcomes: Mapping[Outcome, int]) -> Tally:
    of = outcomes.get
    return Tally(
        completed=of(Outcome.COMPLETED, 0),
        failed=of(Outcome.FAILED, 0),
        cancelled=of(Outcome.CANCELLED, 0),
        other=of(Outcome.RELEASED, 0) + of(Outcome.LOST, 0),
    )
