"""All access to NVML. Any function may be missing, fail or hang: then that field is None and the rest is told.

NVML is called by one daemon thread per `Nvml`, so that a call that hangs costs its reader a deadline, not its life.
"""

from __future__ import annotations

import ctypes
import pwd
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import psutil

from gyoza_tui.models.hardware import GpuInfo, GpuProcess, GpuSample
from gyoza_tui.models.limits import MIB

SLOW_S: Final = 5.0
"""How long what hardly changes (limits of power and heat, the list of GPUs) is good for."""
_LIBRARY: Final = "libnvidia-ml.so.1"
_NO_LIBRARY: Final = f"{_LIBRARY}: cannot open shared object file: No such file"
DRIVER_NOT_LOADED: Final = "the NVIDIA driver is not loaded, but its library is installed"
VERSION_MISMATCH: Final = "the NVIDIA driver was updated: its library and the loaded kernel module differ in version"
_KNOWN: Final = {9: DRIVER_NOT_LOADED, 18: VERSION_MISMATCH}
"""By NVML's error codes."""


class GpuReading(NamedTuple):
    gpus: tuple[GpuSample, ...] = ()
    note: str | None = None
    """Why there is no reading, in words; None when there is, and on a machine without NVIDIA's library: it has none."""


class _Device(NamedTuple):
    """What of a GPU never changes."""

    handle: Any
    info: GpuInfo
    power_limit_w: float | None
    slowdown_c: float | None = None


class Nvml:
    """The GPUs of this machine. `read` may be called from any thread."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Condition()
        self._wanted = 0
        self._done = 0
        self._asked_at = 0.0
        self._last = GpuReading(note="not read yet")
        self._closed = False
        self._thread: threading.Thread | None = None

    def read(self, deadline_s: float) -> GpuReading:
        """A fresh reading, or after `deadline_s` the last GPUs with every value None and words that say why."""
        with self._lock:
            if self._closed:
                return self._stale("closed")
            if self._wanted == self._done:
                self._wanted += 1
                self._asked_at = self._timer()
                self._start()
                self._lock.notify_all()
            wanted = self._wanted
            # A call that already hangs is waited for no longer than `deadline_s` in all, however often it is asked.
            left = max(0.0, deadline_s - (self._timer() - self._asked_at))
            if self._lock.wait_for(lambda: self._done >= wanted, left):
                return self._last
            return self._stale(f"NVML has not answered for {self._timer() - self._asked_at:.0f} s")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _stale(self, note: str) -> GpuReading:
        return GpuReading(tuple(GpuSample(gpu.info) for gpu in self._last.gpus), note)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="nvml", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        reader = _Reader(self._timer)
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closed or self._wanted > self._done)
                if self._closed:
                    break
            try:
                reading = reader.read()
            except Exception as error:  # a reading must never end the thread that takes the next one
                reading = GpuReading(note=f"reading NVML failed: {type(error).__name__}: {error}")
            with self._lock:
                self._last = reading
                self._done += 1
                self._lock.notify_all()
        reader.close()


class _Reader:
    """Calls NVML. Used by one thread only."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._nvml: Any = None
        self._devices: tuple[_Device, ...] = ()
        self._listed_at = 0.0
        self._failed_at: float | None = None
        self._note: str | None = None

    def read(self) -> GpuReading:
        now = self._timer()
        if self._nvml is None:
            if self._failed_at is not None and now - self._failed_at < SLOW_S:
                return GpuReading(note=self._note)
            self._open(now)
            if self._nvml is None:
                return GpuReading(note=self._note)
        if not self._listed_at or now - self._listed_at >= SLOW_S:
            try:
                self._devices = self._list()
            except Exception as error:
                # The driver was unloaded or upgraded: begin anew at the next reading.
                self.close()
                self._fail(now, _meaning(error, "NVML cannot list the GPUs"))
                return GpuReading(note=self._note)
            self._listed_at = now
        if not self._devices:
            return GpuReading(note="NVML answers and knows no GPU")
        return GpuReading(tuple(self._sample(device) for device in self._devices))

    def close(self) -> None:
        if self._nvml is not None:
            with suppress(Exception):
                self._nvml.nvmlShutdown()
        self._nvml, self._listed_at = None, 0.0

    def _open(self, now: float) -> None:
        try:
            ctypes.CDLL(_LIBRARY)  # where there is none, its bindings would take their time for nothing
        except OSError as error:
            absent = str(error).startswith(_NO_LIBRARY)
            self._fail(now, None if absent else f"NVIDIA's library cannot be loaded: {error}")
            return
        try:
            import pynvml

            pynvml.nvmlInit()
        except ImportError:
            self._fail(now, "the Python package nvidia-ml-py is not installed")
        except Exception as error:
            self._fail(now, _meaning(error, "no NVIDIA GPU can be read"))
        else:
            self._nvml = pynvml

    def _fail(self, now: float, note: str | None) -> None:
        self._failed_at, self._note = now, note

    def _list(self) -> tuple[_Device, ...]:
        devices: list[_Device] = []
        for index in range(self._nvml.nvmlDeviceGetCount()):
            handle = self._try("nvmlDeviceGetHandleByIndex", index)
            if handle is None:
                # A GPU that fell off the bus still has its index: the others keep theirs.
                devices.append(_Device(None, GpuInfo(index, None, None, None), None))
                continue
            memory = self._try("nvmlDeviceGetMemoryInfo", handle)
            info = GpuInfo(
                index=index,
                uuid=_words(self._try("nvmlDeviceGetUUID", handle)),
                name=_words(self._try("nvmlDeviceGetName", handle)),
                memory_total_mb=int(memory.total) // MIB if memory is not None else None,
            )
            limit = self._try("nvmlDeviceGetEnforcedPowerLimit", handle)
            limit_w = limit / 1000 if limit is not None else None
            devices.append(_Device(handle, info, limit_w, self._slowdown(handle)))
        return tuple(devices)

    def _slowdown(self, handle: Any) -> float | None:
        degrees = self._try("nvmlDeviceGetTemperatureThreshold", handle, self._nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
        return float(degrees) if degrees else None

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...] | None:
        found = self._try("nvmlDeviceGetComputeRunningProcesses", handle)
        if found is None:
            return None
        read = [_process(p.pid, _mib(p.usedGpuMemory)) for p in found]
        return tuple(sorted(read, key=lambda process: (-(process.memory_mb or 0), process.pid)))

    def _sample(self, device: _Device) -> GpuSample:
        handle = device.handle
        sample = GpuSample(
            device.info,
            power_limit_w=device.power_limit_w,
            slowdown_c=device.slowdown_c,
        )
        if handle is None:
            return sample
        util = self._try("nvmlDeviceGetUtilizationRates", handle)
        memory = self._try("nvmlDeviceGetMemoryInfo", handle)
        # at once, so that memory and processes are of one moment; what a process takes meanwhile is then no one else's
        processes = self._processes(handle)
        power = self._try("nvmlDeviceGetPowerUsage", handle)
        temperature = self._try("nvmlDeviceGetTemperature", handle, self._nvml.NVML_TEMPERATURE_GPU)
        return replace(
            sample,
            util_percent=float(util.gpu) if util is not None else None,
            memory_used_mb=int(memory.used) // MIB if memory is not None else None,
            power_w=power / 1000 if power is not None else None,
            temperature_c=float(temperature) if temperature is not None else None,
            processes=processes,
        )

    def _try(self, function: str, *args: Any) -> Any:
        """What the function answers; None when it is missing (an older driver or binding) or fails."""
        try:
            return getattr(self._nvml, function)(*args)
        except Exception:
            return None


def _meaning(error: Exception, otherwise: str) -> str:
    return _KNOWN.get(getattr(error, "value", 0)) or f"{otherwise}: {error}"


def _process(pid: int, memory_mb: int | None) -> GpuProcess:
    """Without name and user where it is gone, or this process cannot see it from its container."""
    try:
        process = psutil.Process(pid)
        return GpuProcess(pid, process.name(), memory_mb, _user(process.uids().real))
    except psutil.Error:
        return GpuProcess(pid, None, memory_mb)


@lru_cache(maxsize=256)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _mib(size: int | None) -> int | None:
    return None if size is None else size // MIB


def _words(text: str | bytes | None) -> str | None:
    return text.decode(errors="replace") if isinstance(text, bytes) else text
