"""SIGTERM, grace, SIGKILL to every process of an attempt, until none is left."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.backends.local import shim

_POLL_S: Final = 0.02
_KILL_S: Final = 30.0


def stop_tree(mark: str, shim_pid: Callable[[], int], groups: list[str], grace_s: float) -> None:
    """Return when all are gone; BackendUnavailable when the kernel does not let go of one (a dead network disk)."""
    deadline = time.monotonic() + grace_s
    told: dict[int, int] = {}
    while time.monotonic() < deadline:
        processes = shim.processes_of(mark, shim_pid(), groups)
        if not processes:
            return
        new = {pid: start for pid, start in processes.items() if told.get(pid) != start}
        shim.send(new, signal.SIGTERM)
        told |= new
        time.sleep(_POLL_S)
    if not shim.kill_all(mark, shim_pid, groups, _KILL_S):
        left = ", ".join(str(pid) for pid in shim.processes_of(mark, shim_pid(), groups))
        raise BackendUnavailable(f"processes {left} do not end, even by SIGKILL")
