"""Look at the machine once a second."""

from __future__ import annotations

import threading
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.foreign_memory import ForeignMemory
from gyoza_tui.worker.hardware.sampler import History, Sampler
from gyoza_tui.worker.notices.notices import Notices

INTERVAL_S: Final = 1.0


class Sample(Duty):
    name = "sample"

    def __init__(
        self, clock: Clock, notices: Notices, sampler: Sampler, history: History, foreign: ForeignMemory
    ) -> None:
        super().__init__(clock, notices, threading.Event())
        self._sampler = sampler
        self._history = history
        self._foreign = foreign

    def tick(self) -> float:
        sample = self._sampler.sample()
        self._history.add(sample)
        self._foreign.look(sample)
        return INTERVAL_S

    def close(self) -> None:
        self._sampler.close()
