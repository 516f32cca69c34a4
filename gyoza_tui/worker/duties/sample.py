"""Look at the machine once a second."""

from __future__ import annotations

import threading
from typing import Final

from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.hardware.sampler import Sampler
from gyoza_tui.worker.runtime import Runtime

INTERVAL_S: Final = 1.0


class Sample(Duty):
    name = "sample"

    def __init__(self, runtime: Runtime, sampler: Sampler) -> None:
        super().__init__(runtime.clock, runtime.notices, threading.Event())
        self._runtime = runtime
        self._sampler = sampler

    def tick(self) -> float:
        sample = self._sampler.sample()
        self._runtime.history.add(sample)
        self._runtime.foreign.look(sample)
        return INTERVAL_S

    def close(self) -> None:
        self._sampler.close()
