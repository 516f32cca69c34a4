"""A command on a pty of its own, as in a terminal that a person closes, resizes or forgets."""

from __future__ import annotations

import copy
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyte

from tests.waiting import until

ENTER_SCREEN: Final = b"\x1b[?1049h"
LEAVE_SCREEN: Final = b"\x1b[?1049l"
_ALTERNATE: Final = 1049
_READ_BYTES: Final = 65536


class _Screen(pyte.Screen):
    """With what pyte lacks: the alternate screen, which leaves the main one and its cursor as they were."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self._main: tuple[Any, int, int] | None = None

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        if _ALTERNATE in modes and kwargs.get("private"):
            self._main = (copy.deepcopy(self.buffer), self.cursor.x, self.cursor.y)
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        super().reset_mode(*modes, **kwargs)
        if _ALTERNATE in modes and kwargs.get("private") and self._main is not None:
            self.buffer, self.cursor.x, self.cursor.y = self._main
            self._main = None


class PtySession:
    """Its child leads a session whose terminal this is. Leaving kills the child."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        size: tuple[int, int] = (120, 40),
    ) -> None:
        self._master, slave = pty.openpty()
        self.size = size
        self._set_size()
        self.modes_before = termios.tcgetattr(slave)
        self.raw = bytearray()
        """All that was read."""
        self._shown = 0
        self._screen = _Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._reading = threading.Event()
        self._reading.set()
        self._idle = threading.Event()
        self.closed = False
        # setsid -c: the pty becomes the session's terminal, and the child its foreground
        self.process = subprocess.Popen(
            ["setsid", "-c", *argv], stdin=slave, stdout=slave, stderr=slave, env=dict(env), cwd=cwd
        )
        self._slave = slave
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        self.close()

    @property
    def lines(self) -> list[str]:
        """What a person sees now."""
        with self._lock:
            self._stream.feed(bytes(self.raw[self._shown :]))
            self._shown = len(self.raw)
            return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, deadline_s: float = 20) -> None:
        until(lambda: text in self.text, f"{text!r} on the terminal", deadline_s)

    def wait_for_none(self, text: str) -> None:
        until(lambda: text not in self.text, f"no {text!r} on the terminal")

    def wait_for_bytes(self, data: bytes, deadline_s: float = 20) -> None:
        until(lambda: data in self.raw, f"{data!r} at the terminal", deadline_s)

    def type(self, keys: str | bytes) -> None:
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self.size = (columns, rows)
            self._screen.resize(rows, columns)
        self._set_size()

    def stop_reading(self) -> None:
        self._idle.clear()
        self._reading.clear()
        assert self._idle.wait(20)

    def read_again(self) -> None:
        self._reading.set()

    def close(self) -> None:
        """As closing the window does: the kernel hangs up."""
        if self.closed:
            return
        self.closed = True
        self._reading.set()
        self._reader.join(20)
        os.close(self._slave)
        os.close(self._master)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 20) -> int:
        return self.process.wait(timeout_s)

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    @property
    def on_screen(self) -> bool:
        """Whether the alternate screen was entered, and not left since."""
        return self.raw.rfind(ENTER_SCREEN) > self.raw.rfind(LEAVE_SCREEN)

    def _set_size(self) -> None:
        columns, rows = self.size
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while not self.closed:
            if not self._reading.is_set():
                self._idle.set()
                self._reading.wait(0.05)
            elif select.select([self._master], [], [], 0.05)[0]:
                try:
                    data = os.read(self._master, _READ_BYTES)
                except OSError:
                    return
                with self._lock:
                    self.raw += data
