"""Waiting until a worker on this machine has ended."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Final

from gyoza_tui.cli import terminal
from gyoza_tui.cli.failures import CliError
from gyoza_tui.models.text import visible
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.view.control import Ending

if TYPE_CHECKING:
    from gyoza_tui.worker.control_socket.client import RemoteControl

_LOOK_S: Final = 0.5


def wait(control: RemoteControl, ending: Ending) -> None:
    """Until its process is gone; prints how it ended. CliError where it ends without a word, or goes on after all."""
    name = control.root.name
    try:
        process = os.pidfd_open(control.hello.pid)
    except ProcessLookupError:
        process = None
    while process is not None and not select.select([process], [], [], _LOOK_S)[0]:
        undone = ending is Ending.DRAIN and control.snapshot().state in (WorkerState.CLAIMING, WorkerState.PAUSED)
        if undone and control.contact().ended is None:
            raise CliError(f"{visible(name)}: the drain was undone, it goes on")
    ended = control.contact().ended
    if ended is None:
        raise CliError(f"{visible(name)}: ended without a word, as by kill -9; the next start goes on with its runs")
    terminal.out_if_read(visible(f"{name}: {ended}"))
