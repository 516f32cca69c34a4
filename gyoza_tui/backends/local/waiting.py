"""Waiting for the end of an attempt, which its control directory records and its shim's end announces."""

from __future__ import annotations

import os
import select
import time
from typing import Final

from gyoza_tui.backends.base import AttemptPhase, State
from gyoza_tui.backends.local.control import Control

_POLL_S: Final = 0.05
_LOOK_S: Final = 1.0
"""How often it is looked whether the shim was stopped."""


def wait(control: Control, timeout_s: float) -> State:
    """Its end, or after `timeout_s` the state as it is by then."""
    deadline = time.monotonic() + timeout_s
    while True:
        state = control.state()
        left = deadline - time.monotonic()
        if state not in (AttemptPhase.CREATED, AttemptPhase.RUNNING) or left <= 0:
            return state
        _wait_for_end(control.shim_pid(), left)


def _wait_for_end(pid: int, timeout_s: float) -> None:
    """Until the shim `pid` ends, or a little while when there is none (yet)."""
    try:
        fd = os.pidfd_open(pid) if pid else -1
    except OSError:
        fd = -1
    if fd < 0:
        time.sleep(min(_POLL_S, timeout_s))
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(min(timeout_s, _LOOK_S) * 1000)
    finally:
        os.close(fd)
