"""Stopping an attempt: SIGTERM, grace, SIGKILL to every process, until none is left and its end is recorded."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from gyoza_tui.backends.base import AttemptPhase, BackendUnavailable
from gyoza_tui.backends.local import shim
from gyoza_tui.backends.local.control import Control
from gyoza_tui.backends.local.waiting import wait

_POLL_S: Final = 0.02
_KILL_S: Final = 30.0
_RECORDED_S: Final = 30.0
"""How long the shim may take to record the end once all processes of the op are gone."""
_KILLED_S: Final = 5.0
"""The same of a shim that was killed, whose end is found by others."""


def stop(control: Control, reach: Callable[[Control], tuple[str, list[str]]], grace_s: float) -> None:
    """Stop it if it was started; `reach` gives the mark and the cgroups of its processes. Raises BackendUnavailable."""
    state = control.state()
    if state in (AttemptPhase.CREATED, AttemptPhase.GONE):
        return
    mark, groups = reach(control)
    stop_tree(mark, control.shim_pid, groups, grace_s)
    if state is not AttemptPhase.RUNNING or wait(control, _RECORDED_S) is not AttemptPhase.RUNNING:
        return
    # Something keeps it from its work, as a freezer does; its end is then that of a killed one.
    shim.send({pid: shim.alive_since(pid) or 0 for pid in [control.shim_pid()]}, signal.SIGKILL)
    if wait(control, _KILLED_S) is AttemptPhase.RUNNING:
        raise BackendUnavailable(f"{control.path.name} was stopped, and its end is not recorded yet")


def stop_tree(mark: str, shim_pid: Callable[[], int], groups: list[str], grace_s: float) -> None:
    """Return when all are gone; BackendUnavailable when the kernel does not let go of one (a dead network disk)."""
    deadline = time.monotonic() + grace_s
    told: dict[int, int] = {}
    while time.monotonic() < deadline:
        shim.thaw_groups(groups)
        processes = shim.processes_of(mark, shim_pid(), groups)
        if not processes:
            return
        new = {pid: start for pid, start in processes.items() if told.get(pid) != start}
        shim.send(new, signal.SIGTERM)
        for pid in processes:
            shim.go_on(pid)
        told |= new
        time.sleep(_POLL_S)
    if not shim.kill_all(mark, shim_pid, groups, _KILL_S):
        left = ", ".join(str(pid) for pid in shim.processes_of(mark, shim_pid(), groups))
        raise BackendUnavailable(f"processes {left} do not end, even by SIGKILL")
