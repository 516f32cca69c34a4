"""What a container uses, from single readings: the engine's own stream of them costs it a second each."""

from __future__ import annotations

import threading
from typing import Any

from docker.errors import NotFound

from gyoza_tui.backends.base import Usage
from gyoza_tui.backends.docker.ends import parse_time
from gyoza_tui.backends.docker.engine import QUICK_TIMEOUT_S, Engine
from gyoza_tui.models.limits import MIB


class UsageReader:
    """Keeps the last reading of each container: a share of the processor is a difference."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float, int]] = {}

    def read(self, container: str) -> Usage:
        """All None for one that is not running or is gone; the first reading knows no processor share yet."""
        with self._engine.api(QUICK_TIMEOUT_S) as api:
            try:
                stats = dict(api.stats(container, stream=False, one_shot=True))
            except NotFound:
                return Usage()
        if not stats.get("pids_stats", {}).get("current"):
            return Usage()
        return Usage(
            cpu_percent=self._cpu_percent(container, stats),
            memory_mb=_memory_mb(stats.get("memory_stats") or {}),
            processes=stats["pids_stats"]["current"],
        )

    def forget(self, container: str) -> None:
        with self._lock:
            self._last.pop(container, None)

    def _cpu_percent(self, container: str, stats: dict[str, Any]) -> float | None:
        used = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
        at = parse_time(stats.get("read"))
        if used is None or at is None:
            return None
        with self._lock:
            before = self._last.get(container)
            self._last[container] = (at, used)
        if before is None or at <= before[0]:
            return None
        return max(0.0, float(used - before[1]) / 1e9 / (at - before[0]) * 100)


def _memory_mb(memory: dict[str, Any]) -> float | None:
    if memory.get("usage") is None:
        return None
    detail = memory.get("stats") or {}
    # Pages of files that the kernel drops at need, named by the first and second version of cgroups.
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    return float(max(0, memory["usage"] - cache) / MIB)
