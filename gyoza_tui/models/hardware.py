"""What a machine has and uses. `None` is a reading that could not be had: shown as N/A, never as 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A GPU as detected: what does not change while the worker runs."""

    index: int
    uuid: str | None
    name: str | None
    memory_total_mb: int | None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that computes on a GPU, of a run or not."""

    pid: int
    """As this machine counts, outside of any container."""
    name: str | None = None
    memory_mb: int | None = None
    """Of the GPU's memory."""
    user: str | None = None


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one moment; None: it does not tell."""

    info: GpuInfo
    util_percent: float | None = None
    memory_used_mb: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    slowdown_c: float | None = None
    """From which temperature on it slows itself down."""
    processes: tuple[GpuProcess, ...] | None = None
    """The most memory first; read just after `memory_used_mb`."""


@dataclass(frozen=True, slots=True)
class HardwareSample:
    """One reading of the whole machine."""

    taken_at: float
    """Seconds of the injected clock (boot time)."""
    cpu_percent: float | None = None
    """0 to 100 over all cores."""
    cpu_cores: int = 0
    load_1m: float | None = None
    ram_total_mb: int = 0
    ram_used_mb: int | None = None
    gpus: tuple[GpuSample, ...] = ()
    gpu_note: str | None = None
    """Why there is no GPU reading, in words; None when there is, and on a machine without NVIDIA's library."""


class Foreign(NamedTuple):
    """What is used of one GPU without a reservation."""

    mb: int = 0
    processes: tuple[GpuProcess, ...] = ()
    """Those that belong to no run, as far as the driver names them; the most memory first."""
