"""What a run waits for before it begins: the runs here that are in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.slots.gate import PATIENCE_S, Gate

_LOOK_S: Final = 0.05
"""How often it is looked whether another run is cleaned up."""
_NOT_BEGUN: Final = (None, None, Intent.NONE)
"""Handle, outcome and intent of a row for which nothing was done yet."""
_NO_SLOT: Final = f"found no slot here for {PATIENCE_S / 60:.0f} min"
_Intend: TypeAlias = Callable[[RunRow, Intent, str], bool]


class Turn:
    def __init__(self, clock: Clock, journal: Journal, admission: Admission, gate: Gate) -> None:
        self._clock = clock
        self._journal = journal
        self._admission = admission
        self._gate = gate

    def wait_for(self, row: RunRow, intend: _Intend) -> None:
        """Return when the run has a slot and may begin, or is not to begin at all."""
        self._wait_for_predecessor(row, intend)
        self._wait_for_room(row)
        self._gate.enter(row, lambda: intend(row, Intent.RELEASE, _NO_SLOT))

    def _wait_for_predecessor(self, row: RunRow, intend: _Intend) -> None:
        """An older attempt of the same run is stopped first: never two containers of one run."""
        while older := [r for r in self._journal.active() if r.run_id == row.run_id and r.key < row.key]:
            for other in older:
                intend(other, Intent.LOST, "the server has a newer attempt")
            self._clock.wait(threading.Event(), _LOOK_S)

    def _wait_for_room(self, row: RunRow) -> None:
        """Until the runs are cleaned up that have ended and still have what this one needs, or it is not wanted."""
        while (now := self._journal.get(row.key)) and (now.handle, now.outcome, now.intent) == _NOT_BEGUN:
            before = [other for other in self._journal.active() if other.key < row.key]
            if all(other.outcome is None for other in before) or not self._admission.lacks(row.run, before):
                return
            self._clock.wait(threading.Event(), _LOOK_S)
