"""What a run needs of a machine."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gyoza_tui.models.cores import Cores, tenths
from gyoza_tui.models.limits import GPU_ID_MAX, MEMORY_MB_MAX
from gyoza_tui.models.wire import Wire

Megabytes = Annotated[int, Field(strict=True, ge=0, le=MEMORY_MB_MAX)]
GpuId = Annotated[int, Field(strict=True, ge=0, le=GPU_ID_MAX)]


class Constraints(Wire):
    """The resources a run holds for its whole attempt; what is None is neither reserved nor limited."""

    cpu: Cores | None = None
    """Cores, in tenths: 0.5 or 2."""
    ram_mb: Megabytes | None = None
    """Memory and swap together, in MiB."""
    vram_mb: Megabytes | None = None
    """Free memory needed on one GPU, in MiB. A run that gets a GPU without naming memory gets all of it."""
    gpu_id: GpuId | None = None
    """The GPU by index: asked for by the run, or chosen by the scheduler in an attempt's constraints."""

    @property
    def cpu_tenths(self) -> int:
        return tenths(self.cpu)

    @property
    def wants_gpu(self) -> bool:
        return self.gpu_id is not None or bool(self.vram_mb)
