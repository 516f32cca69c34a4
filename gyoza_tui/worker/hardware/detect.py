"""What this machine has, as a heartbeat tells it."""

from __future__ import annotations

import psutil

from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.hardware.nvml import Nvml
from gyoza_tui.worker.hardware.resources import GPU, Resources

DETECT_DEADLINE_S = 5.0


def detect_resources() -> Resources:
    """Cores, memory in MiB, GPUs with the memory that NVML tells. No GPU reading: no GPUs, and no fault."""
    nvml = Nvml()
    try:
        reading = nvml.read(DETECT_DEADLINE_S)
    finally:
        nvml.close()
    return Resources(
        cpu_cores=cpu_cores(),
        ram_mb=psutil.virtual_memory().total // MIB,
        gpus=[
            GPU(id=gpu.info.index, vram_mb=gpu.info.memory_total_mb)
            for gpu in reading.gpus
            if gpu.info.memory_total_mb is not None
        ],
    )


def cpu_cores() -> int:
    """The cores this process may use; a machine that cannot say has one."""
    process = psutil.Process()
    return len(process.cpu_affinity()) or psutil.cpu_count() or 1
