"""What a run waits for before it begins: the runs here that are in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.runtime import Runtime

_LOOK_S: Final = 0.05
"""How often it is looked whether another run is cleaned up."""
_NOT_BEGUN: Final = (None, None, Intent.NONE)
"""Handle, outcome and intent of a row for which nothing was done yet."""
_Intend: TypeAlias = Callable[[RunRow, Intent, str], bool]


def wait_for_turn(runtime: Runtime, row: RunRow, intend: _Intend) -> None:
    """Return when the run may begin, or is not to begin at all."""
    _wait_for_predecessor(runtime, row, intend)
    _wait_for_room(runtime, row)


def _wait_for_predecessor(runtime: Runtime, row: RunRow, intend: _Intend) -> None:
    """An older attempt of the same run is stopped first: never two containers of one run."""
    while older := [r for r in runtime.active() if r.run_id == row.run_id and r.key < row.key]:
        for other in older:
            intend(other, Intent.LOST, "the server has a newer attempt")
        runtime.clock.wait(threading.Event(), _LOOK_S)


def _wait_for_room(runtime: Runtime, row: RunRow) -> None:
    """Until the runs are cleaned up that have ended and still have what this one needs, or it is not wanted."""
    while (now := runtime.journal.get(row.key)) and (now.handle, now.outcome, now.intent) == _NOT_BEGUN:
        before = [other for other in runtime.active() if other.key < row.key]
        if all(other.outcome is None for other in before) or not runtime.admission.lacks(row.run, before):
            return
        runtime.clock.wait(threading.Event(), _LOOK_S)
