"""The terminal lent to a child, a pager or a shell, while the app is suspended.

The child gets a foreground process group of its own: a Ctrl-C in it must not be a SIGINT to the worker. It begins
stopped, and goes on when the terminal is its own.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from textual.app import App

from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.tty.textual_internals import driver_of

_STOPPED_FIRST: Final = ("/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh")
_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


class NoTerminalError(Exception):
    """There is no terminal to lend, or no such command; `str()` says why."""


async def lend_terminal(app: App[Any], argv: Sequence[str]) -> int:
    """Run `argv` on the terminal until it ends; its exit code. Raises NoTerminalError."""
    if shutil.which(argv[0]) is None:
        raise NoTerminalError(f"there is no command {argv[0]} here")
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NoTerminalError(f"there is no terminal to lend: {error.strerror}") from None
    try:
        return await _lend(app, argv, terminal)
    finally:
        os.close(terminal)


async def _lend(app: App[Any], argv: Sequence[str], terminal: int) -> int:
    child = os.posix_spawn(
        _STOPPED_FIRST[0],
        (*_STOPPED_FIRST, *argv),
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, terminal, target) for target in (0, 1, 2)],
        setpgroup=0,
        setsigmask=(),
        setsigdef=_IGNORED_BY_PYTHON,
    )
    try:
        await aside(partial(os.waitpid, child, os.WUNTRACED))
        with suspended(app):
            _foreground(terminal, child)
            try:
                os.killpg(child, signal.SIGCONT)
                return await aside(partial(_wait, child))
            finally:
                _foreground(terminal, os.getpgrp())
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGHUP)
            os.killpg(child, signal.SIGCONT)


@contextmanager
def suspended(app: App[Any]) -> Iterator[None]:
    """The terminal as it was before the app; whatever is drawn meanwhile is dropped by the driver."""
    driver = driver_of(app)
    if driver is None or not driver.can_suspend:
        raise NoTerminalError("this terminal cannot be lent")
    driver.suspend_application_mode()
    try:
        yield
    finally:
        if app.is_running:
            driver.resume_application_mode()
            app.refresh(layout=True)


def _foreground(terminal: int, group: int) -> None:
    """A background process that does this is stopped by SIGTTOU, unless it blocks it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with suppress(OSError):  # the terminal hung up
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})


def _wait(child: int) -> int:
    """The exit code. A child stopped by Ctrl-Z goes on: nobody is there to continue it."""
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.killpg(child, signal.SIGCONT)
