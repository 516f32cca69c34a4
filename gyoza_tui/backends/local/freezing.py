"""Freezing an attempt: the cgroup that it is in, and by SIGSTOP what is in none that can be frozen."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from gyoza_tui.backends.base import AttemptPhase, BackendUnavailable
from gyoza_tui.backends.local import shim
from gyoza_tui.backends.local.control import Control

_DEADLINE_S: Final = 5.0
_POLL_S: Final = 0.005


def freeze(control: Control, mark: str, groups: list[str]) -> None:
    """Pause every process of an attempt that runs. Raises BackendUnavailable, and then lets all go on."""
    deadline = time.monotonic() + _DEADLINE_S
    freezers = _freezers(groups)
    shim.freeze_groups(freezers)
    while control.state() is AttemptPhase.RUNNING:
        # a process that was told is looked at once more, for it may have made another one just before
        outside = _outside(mark, control.shim_pid(), groups, freezers)
        if not outside and all(_is_frozen(group) for group in freezers):
            return
        if time.monotonic() > deadline:
            thaw(control, mark, groups)
            raise BackendUnavailable(f"the processes of {control.path.name} do not freeze")
        shim.send(outside, signal.SIGSTOP)
        time.sleep(_POLL_S)


def thaw(control: Control, mark: str, groups: list[str]) -> None:
    """Let them go on, those too that something else has stopped. Raises BackendUnavailable."""
    deadline = time.monotonic() + _DEADLINE_S
    freezers = _freezers(groups)
    shim.thaw_groups(freezers)
    for pid in shim.processes_of(mark, control.shim_pid(), groups):
        shim.go_on(pid)
    while any(_is_frozen(group) for group in freezers):
        if time.monotonic() > deadline:
            raise BackendUnavailable(f"the processes of {control.path.name} do not go on: what holds them is not ours")
        time.sleep(_POLL_S)


def is_frozen(control: Control, groups: list[str]) -> bool:
    """Whether it runs and is paused, by whomever."""
    if control.state() is not AttemptPhase.RUNNING:
        return False
    if freezers := _freezers(groups):
        return all(_is_frozen(group) for group in freezers)
    first = _first_processes(control.shim_pid())
    return bool(first) and all(_is_stopped(pid) for pid in first)


def _freezers(groups: list[str]) -> list[str]:
    return [group for group in groups if any(Path(group + name).exists() for name in shim.FREEZERS)]


def _is_frozen(group: str) -> bool:
    with suppress(OSError):
        return Path(group, "freezer.state").read_text().strip() == "FROZEN"
    with suppress(OSError):
        return "frozen 1" in Path(group, "cgroup.events").read_text().splitlines()
    return False  # it has ended


def _outside(mark: str, shim_pid: int, groups: list[str], freezers: list[str]) -> dict[int, int]:
    """The processes of the attempt that are in no freezer and not stopped."""
    inside = {pid for group in freezers for pid in shim.in_group(group)}
    processes = shim.processes_of(mark, shim_pid, groups)
    return {pid: start for pid, start in processes.items() if pid not in inside and not _is_stopped(pid)}


def _is_stopped(pid: int) -> bool:
    """One that has ended goes for stopped."""
    fields = shim.stat_of(pid)
    return fields is None or fields[0] in b"TZX"


def _first_processes(shim_pid: int) -> list[int]:
    """The op itself, and what of its processes lost their parents."""
    with suppress(psutil.Error):
        return [process.pid for process in psutil.Process(shim_pid).children()] if shim_pid else []
    return []
