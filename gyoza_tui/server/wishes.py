"""What people want of a single run beside its state: held back, frozen, given back by its worker."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.runs import RunPatch
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.models.workers import Feature, Want
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.roster import Known
from gyoza_tui.server.run_change import Entry, RunChange

_NEEDED: Final = {Want.FROZEN: Feature.FREEZE, Want.RELEASE: Feature.WAITING}
"""What a worker must understand before it is sent such a wish."""


def apply(run: RunChange, change: RunPatch, by: str) -> None:
    """What of these three the change asks for; Refused when the run is in a state in which it cannot be done."""
    if change.held is not None:
        _hold(run, by, held=change.held)
    if change.frozen is not None:
        _freeze(run, by, frozen=change.frozen)
    if change.release:
        release(run, by)


def release(run: RunChange, by: str) -> None:
    """Have its worker stop it and give it back."""
    _check_state(run, "released", RunState.ASSIGNED, RunState.RUNNING)
    if run.run.want != Want.RELEASE:
        _want(run, Want.RELEASE, by, f"{by} asked its worker to give it back")


def of_beat(run: Row[Any], known: Known) -> Want | None:
    """What is wanted of the run, where its worker understands that."""
    features = known.report.features
    return next((want for want, feature in _NEEDED.items() if want == run.want and feature in features), None)


def _hold(run: RunChange, by: str, *, held: bool) -> None:
    _check_state(run, "held" if held else "unheld", RunState.PENDING)
    if held is (run.run.held_by is not None):
        return
    run.set_run(held_by=by if held else None)
    words = f"held by {by}" if held else f"{by} ended the hold"
    run.record(run.run.current_attempt, Entry(EventType.INFO, words))
    run.shared.work_changed = True


def _freeze(run: RunChange, by: str, *, frozen: bool) -> None:
    _check_state(run, "frozen" if frozen else "thawed", RunState.RUNNING)
    if frozen and run.run.want != Want.FROZEN:
        _want(run, Want.FROZEN, by, f"{by} asked its worker to freeze it")
    elif not frozen and run.run.want == Want.FROZEN:
        _want(run, None, by, f"{by} asked its worker to thaw it")


def _check_state(run: RunChange, what: str, *states: RunState) -> None:
    if run.state.terminal:
        raise Refused(409, ErrorCode.TERMINAL, f"run {run.run.id} is {run.state} already")
    if run.state not in states:
        possible = " or ".join(states)
        why = f"run {run.run.id} is {run.state}: only a run that is {possible} can be {what}"
        raise Refused(400, ErrorCode.TRANSITION, why)


def _want(run: RunChange, want: Want | None, by: str, words: str) -> None:
    worker_id = run.attempt.worker_id
    known = run.shared.roster.get(worker_id)
    if want is not None and known is not None and _NEEDED[want] not in known.report.features:
        version = known.report.version or "unknown"
        why = f"worker {worker_id} (version {version}) cannot be asked for this by the server"
        raise Refused(409, ErrorCode.INVALID, f"{why}: upgrade it, or do it there")
    run.set_run(want=want, want_by=None if want is None else by)
    run.record(run.run.current_attempt, Entry(EventType.INFO, words))
    run.shared.nudge(run.tx, worker_id)
