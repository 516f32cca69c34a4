"""Where the server's last word on a run is not what this worker does: said, never smoothed over."""

from __future__ import annotations

from typing import Final

from gyoza_tui.models.states import TERMINAL, RunState
from gyoza_tui.worker.view.snapshot import Outcome, Phase, RunView

_HELD_HERE: Final = frozenset({RunState.ASSIGNED, RunState.RUNNING})
"""The server's word is up to one heartbeat old: a run that has just started may still be ASSIGNED there."""
_ENDS: Final = {
    Outcome.COMPLETED: RunState.COMPLETED,
    Outcome.FAILED: RunState.FAILED,
    Outcome.CANCELLED: RunState.CANCELLED,
}


def differing(view: RunView) -> str | None:
    """The server's word for the run where it contradicts ours; None where it agrees or says nothing."""
    said = view.server_state
    if said is None or said in _agreeing(view):
        return None
    return said


def _agreeing(view: RunView) -> frozenset[RunState]:
    outcome = view.outcome
    if outcome is None:
        return frozenset() if view.phase is Phase.LOST else _HELD_HERE
    if outcome not in _ENDS:
        return frozenset(RunState)  # it is not ours any more, and may be anywhere
    if not view.acked:
        return _HELD_HERE | {_ENDS[outcome]}
    return frozenset(RunState) - TERMINAL | {_ENDS[outcome]}
