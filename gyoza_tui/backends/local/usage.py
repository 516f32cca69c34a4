"""What the processes of an attempt use."""

from __future__ import annotations

import threading
import time

import psutil

from gyoza_tui.backends.base import Usage
from gyoza_tui.models.limits import MIB


class UsageMeter:
    """CPU is measured between two calls for the same attempt: the first has none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, dict[int, float]]] = {}

    def read(self, name: str, shim_pid: int) -> Usage:
        """Of the processes below the shim; nothing when there is none."""
        try:
            processes = psutil.Process(shim_pid).children(recursive=True) if shim_pid else []
        except psutil.Error:
            processes = []
        if not processes:
            self.forget(name)
            return Usage()
        times: dict[int, float] = {}
        memory = 0
        for process in processes:
            try:
                with process.oneshot():
                    cpu = process.cpu_times()
                    memory += process.memory_info().rss
                times[process.pid] = cpu.user + cpu.system
            except psutil.Error:
                continue
        return Usage(self._percent(name, times), memory / MIB, len(times))

    def forget(self, name: str) -> None:
        with self._lock:
            self._last.pop(name, None)

    def _percent(self, name: str, times: dict[int, float]) -> float | None:
        now = time.monotonic()
        with self._lock:
            before = self._last.get(name)
            self._last[name] = (now, times)
        if before is None or now <= before[0]:
            return None
        # By process: one that ended meanwhile must not make the sum go back.
        spent = sum(max(0.0, used - before[1].get(pid, 0.0)) for pid, used in times.items())
        return 100 * spent / (now - before[0])
