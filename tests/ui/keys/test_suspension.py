"""The terminal lent to a child, in a real pty."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_DEADLINE_S = 20.0


class Terminal:
    def __init__(self, master: int) -> None:
        self._master = master
        self._seen = b""

    def wait_for(self, text: bytes) -> None:
        """Everything up to and with `text` is taken out of what was seen."""
        end = time.monotonic() + _DEADLINE_S
        while text not in self._seen:
            assert time.monotonic() < end, f"{text!r} does not come: {self._seen!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._seen += os.read(self._master, 65536)
        self._seen = self._seen.partition(text)[2]

    def type(self, data: bytes) -> None:
        os.write(self._master, data)


@contextmanager
def lending(*argv: str) -> Iterator[Terminal]:
    pid, master = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, "-m", "tests.ui.keys.lender", *argv])
    try:
        yield Terminal(master)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)


def test_the_child_has_the_terminal_and_the_app_has_it_back() -> None:
    with lending("sh", "-c", "echo READY; read line; echo GOT-$line") as terminal:
        terminal.wait_for(b"\x1b[?1049l")
        terminal.wait_for(b"READY")
        terminal.type(b"word\n")
        terminal.wait_for(b"GOT-word")
        terminal.wait_for(b"\x1b[?1049h")
        terminal.wait_for(b"ENDED 0")
        terminal.type(b"q")
        terminal.wait_for(b"BACK")


def test_a_ctrl_z_in_the_child_stops_nobody() -> None:
    with lending("sh", "-c", "echo READY; read line; echo GOT-$line") as terminal:
        terminal.wait_for(b"READY")
        terminal.type(b"\x1a")
        terminal.type(b"word\n")
        terminal.wait_for(b"GOT-word")
        terminal.wait_for(b"ENDED 0")


def test_a_command_that_is_not_there_gives_the_terminal_back() -> None:
    with lending("/none") as terminal:
        terminal.wait_for(b"REFUSED")


def test_a_ctrl_c_in_the_child_is_the_childs() -> None:
    with lending("sh", "-c", "trap 'echo INTERRUPTED; exit 7' INT; echo READY; read line") as terminal:
        terminal.wait_for(b"\x1b[?1049l")
        terminal.wait_for(b"READY")
        terminal.type(b"\x03")
        terminal.wait_for(b"INTERRUPTED")
        terminal.wait_for(b"\x1b[?1049h")
        terminal.wait_for(b"ENDED 7")
        terminal.type(b"q")
        terminal.wait_for(b"BACK")
