"""The terminal lent to a child, a pager or a shell, while the app is suspended.

The child gets a foreground process group of its own: a Ctrl-C in it must not be a SIGINT to the worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from textual.app import App

from gyoza_tui.ui.aside import aside


class NoTerminalError(Exception):
    """There is no terminal to lend, or the child did not start; `str()` says why."""


async def lend_terminal(app: App[Any], argv: Sequence[str]) -> int:
    """Run `argv` on the terminal until it ends; its exit code. Raises NoTerminalError."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NoTerminalError(f"there is no terminal to lend: {error.strerror}") from None
    try:
        with suspended(app):
            child = _start(argv, terminal)
            try:
                _foreground(terminal, child.pid)
                os.killpg(child.pid, signal.SIGCONT)  # it may have asked for the terminal before it was its own
                return await aside(partial(_wait, child.pid))
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGHUP)
                _foreground(terminal, os.getpgrp())
    finally:
        os.close(terminal)


@contextmanager
def suspended(app: App[Any]) -> Iterator[None]:
    """The terminal as it was before the app; whatever is drawn meanwhile is dropped by the driver."""
    driver = app._driver
    if driver is None or not driver.can_suspend:
        raise NoTerminalError("this terminal cannot be lent")
    driver.suspend_application_mode()
    try:
        yield
    finally:
        if app.is_running:
            driver.resume_application_mode()
            app.refresh(layout=True)


def _start(argv: Sequence[str], terminal: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, process_group=0)
    except OSError as error:
        raise NoTerminalError(f"{argv[0]}: {error.strerror}") from None


def _foreground(terminal: int, group: int) -> None:
    """A background process that does this is stopped by SIGTTOU, unless it blocks it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with suppress(OSError):  # the terminal hung up
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})


def _wait(pid: int) -> int:
    """The exit code. A child stopped by Ctrl-Z goes on: nobody is there to continue it."""
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.killpg(pid, signal.SIGCONT)
