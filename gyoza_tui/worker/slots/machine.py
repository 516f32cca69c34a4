"""What this machine gives an attempt: its backend and its GPU, and whether it is at fault."""

from __future__ import annotations

from gyoza_tui.backends.base import Backend
from gyoza_tui.models.hardware import GpuInfo
from gyoza_tui.models.images import ImageRef
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.probes import Subject
from gyoza_tui.worker.wakes import Wakes


class Machine:
    def __init__(self, pool: BackendPool, admission: Admission, wakes: Wakes) -> None:
        self._pool = pool
        self._admission = admission
        self._wakes = wakes

    def has_backend(self, row: RunRow) -> bool:
        return row.backend in self._pool

    def backend(self, row: RunRow) -> Backend:
        return self._pool[row.backend]

    def gpu(self, row: RunRow) -> GpuInfo | None:
        """The GPU that it may see."""
        return self._admission.gpu_of(row.run.constraints)

    def fault(self, row: RunRow) -> str | None:
        """Why this machine cannot start it; None where the fault is the run's."""
        why = self._pool.fault(row.backend, Subject(ImageRef.parse(row.run.image).name, self.gpu(row)))
        if why is not None:
            for wake in (self._wakes.beat, self._wakes.claim, self._wakes.reconcile):
                wake.set()
        return why
