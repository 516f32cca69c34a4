"""One reading of the whole machine a second, and the last ten minutes of them."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from typing import Final

import psutil

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.hardware import GpuInfo, HardwareSample
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.hardware.detect import cpu_cores
from gyoza_tui.worker.hardware.nvml import Nvml

GPU_DEADLINE_S: Final = 2.0
HISTORY_S: Final = 600


class Sampler:
    """Takes readings. One that cannot be had is None; `sample` takes at most GPU_DEADLINE_S."""

    def __init__(self, clock: Clock, nvml: Nvml | None = None) -> None:
        self._clock = clock
        self._nvml = nvml or Nvml()
        self._cores = cpu_cores()
        # The first call only sets the mark that the next one measures from.
        psutil.cpu_percent(interval=None)

    def sample(self) -> HardwareSample:
        gpu = self._nvml.read(GPU_DEADLINE_S)
        memory = psutil.virtual_memory()
        load: float | None = None
        with suppress(OSError):
            load = os.getloadavg()[0]
        return HardwareSample(
            taken_at=self._clock.boot(),
            cpu_percent=psutil.cpu_percent(interval=None),
            cpu_cores=self._cores,
            load_1m=load,
            ram_total_mb=memory.total // MIB,
            ram_used_mb=(memory.total - memory.available) // MIB,
            gpus=gpu.gpus,
            gpu_note=gpu.note,
        )

    def close(self) -> None:
        self._nvml.close()


class History:
    """The readings of the last ten minutes, oldest first. Thread-safe."""

    def __init__(self, seconds: float = HISTORY_S) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._samples: deque[HardwareSample] = deque()

    def add(self, sample: HardwareSample) -> None:
        with self._lock:
            self._samples.append(sample)
            while self._samples[0].taken_at <= sample.taken_at - self._seconds:
                self._samples.popleft()

    def samples(self) -> tuple[HardwareSample, ...]:
        with self._lock:
            return tuple(self._samples)

    def latest(self) -> HardwareSample | None:
        with self._lock:
            return self._samples[-1] if self._samples else None

    def gpu_infos(self) -> tuple[GpuInfo, ...]:
        latest = self.latest()
        return tuple(gpu.info for gpu in latest.gpus) if latest else ()
