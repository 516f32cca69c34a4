"""The process's terminal, from the outside: before, between and after screens."""

from __future__ import annotations

import os
import signal
import termios
from pathlib import Path
from typing import Final

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
_LINE_BYTES: Final = 4096


class Terminal:
    """While a screen has it, what anybody writes to stdout or stderr goes to the log: only the driver writes to it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
        self._kept = [(number, os.dup(number)) for number in (STDOUT, STDERR)]
        self._lost = False

    def take(self) -> None:
        """For a screen."""
        self._to_log()

    def give_back(self) -> None:
        """After it; nothing when the terminal was lost meanwhile."""
        for number, kept in self._kept:
            os.dup2(kept, number)
        if self._lost:
            self._to_log()

    def lose(self) -> None:
        """It hung up. In a signal handler too; bash sends the signal twice."""
        self._lost = True
        self._to_log()
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, STDIN)
        os.close(nothing)

    @property
    def lost(self) -> bool:
        """Whether it has hung up, said by a signal or not."""
        if not self._lost:
            try:
                termios.tcgetattr(self._fd)
            except termios.error:
                self.lose()
        return self._lost

    @property
    def ours(self) -> bool:
        """Whether what is typed is for this process: it may have been sent to the background."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def fileno(self) -> int:
        return self._fd

    def typed(self) -> bytes:
        """What was typed; nothing when that is not for us after all."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN})  # else the kernel stops the process
        try:
            return os.read(self._fd, _LINE_BYTES)
        except OSError:
            return b""
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTIN})

    def _to_log(self) -> None:
        try:
            log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            log = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        for number in (STDOUT, STDERR):
            os.dup2(log, number)
        os.close(log)
