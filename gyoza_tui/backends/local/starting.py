"""Starting an attempt once, and what it means when its shim does not come up."""

from __future__ import annotations

import sys
from typing import Final

from gyoza_tui.backends.base import (
    AttemptPhase,
    BackendError,
    BackendUnavailable,
    DiskFull,
    Exit,
    NotExecutable,
    VanishedHandle,
)
from gyoza_tui.backends.local.control import Control
from gyoza_tui.backends.local.launcher import Launcher
from gyoza_tui.backends.local.waiting import wait

_BAD_START_S: Final = 5.0
_PROBE: Final = "probe"
_PROBE_BYTES: Final = 4096


def start(control: Control, launcher: Launcher) -> None:
    """Start it unless it was started. Raises NotExecutable, VanishedHandle, DiskFull, BackendUnavailable."""
    state = control.state()
    if state is AttemptPhase.CREATED:
        runs = launcher.launch(control.path)
        # What the shim could not start it records next; another shim may be about to.
        state = control.state() if runs else wait(control, _BAD_START_S)
    if state is AttemptPhase.GONE:
        raise VanishedHandle(f"{control.path.name} is gone")
    if state is AttemptPhase.CREATED:
        launcher.compile_again()
        raise _not_come_up(control)
    if isinstance(state, Exit) and state.not_executable:
        raise NotExecutable(state.not_executable)


def _not_come_up(control: Control) -> BackendError:
    """A shim says nothing where it could not even write that it is there."""
    probe = control.path / _PROBE
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
        probe.unlink()
    except OSError as error:
        if full := DiskFull.of(error, control.path):
            return full
    return BackendUnavailable(f"the shim of {control.path.name} did not come up: is {sys.executable} usable?")
