"""All that writes to the terminal, and all that reads from it, while there is a screen.

What Textual's own driver does wrong here: it waits for a terminal that does not read, and for ever for one that is
gone; it stops the process on SIGTSTP, heartbeats included; on SIGCONT it takes what the shell made of the terminal for
what it was before; it dies of input that it does not know.
"""

from __future__ import annotations

import os
import selectors
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Final

from textual import constants
from textual.app import App

from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.tty.ascii import as_ascii
from gyoza_tui.ui.tty.terminal_input import TerminalInput
from gyoza_tui.ui.tty.terminal_output import TerminalOutput
from gyoza_tui.ui.tty.textual_internals import OpenDriver

LEAVE_S: Final = 0.5
"""For how long the terminal may take what says that the screen is over."""
_LOOK_S: Final = 0.1
_READ_BYTES: Final = 4096
_UPDATE_IS_OVER: Final = "\x1b[?2026l"
_SCREEN_MODES: Final = "\x1b[?25l\x1b[?1004h\x1b[?2004h\x1b[?7l"
"""No cursor, the focus is reported, pastes are bracketed, no line is wrapped."""


class GyozaDriver(OpenDriver):
    """On the controlling terminal, whatever becomes of stdin, stdout and stderr meanwhile."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        options = getattr(app, "options", None)
        self._ascii = isinstance(options, UiOptions) and options.ascii
        self._output: TerminalOutput | None = None
        """None: suspended, or over. What is written then is dropped."""
        self.fileno = -1
        self._modes: list[Any] | None = None
        """The terminal's, while the screen has it."""
        signal.signal(signal.SIGTSTP, _nothing)  # not SIG_IGN: children would inherit it
        signal.signal(signal.SIGCONT, self._continued)

    def write(self, data: str) -> None:
        if self._output is not None:
            self._output.write((as_ascii(data) if self._ascii else data).encode(errors="replace"))

    def start_application_mode(self) -> None:
        self.fileno = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
        self._output = TerminalOutput(self.loop, caught_up=self._draw_anew, gone=self.app.exit)
        with _in_background_too():
            super().start_application_mode()  # type: ignore[no-untyped-call]
            with suppress(termios.error):
                self._modes = termios.tcgetattr(self.fileno)

    def stop_application_mode(self) -> None:
        if self._output is None:
            return
        if self._output.clear():
            self.write(_UPDATE_IS_OVER)  # it may have read the begin of an update
        with _in_background_too():
            super().stop_application_mode()
        self._output.drain(LEAVE_S)
        self._output.close()
        self._output = None

    def close(self) -> None:
        super().close()
        if self.fileno >= 0:
            os.close(self.fileno)
            self.fileno = -1

    def run_input_thread(self) -> None:
        try:
            self._take_input()
        except Exception as error:
            self._tell(partial(self.app.call_later, partial(_raise, error)))

    def _take_input(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN})  # a read in the background fails instead
        source = TerminalInput()
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(constants.ESCAPE_DELAY if source.undecided else _LOOK_S):
                    data = self._read()
                    if not data:
                        self._tell(self.app.exit)
                        return
                    for message in source.feed(data):
                        self.process_message(message)
                for message in source.tick():
                    self.process_message(message)

    def _read(self) -> bytes:
        """Nothing when the terminal is gone, or another's."""
        try:
            return os.read(self.fileno, _READ_BYTES)
        except OSError:
            return b""

    def _tell(self, call: Callable[[], object]) -> None:
        """Have the event loop call it, from another thread."""
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(call)

    def _continued(self, _number: int, _frame: FrameType | None) -> None:
        if self._output is not None:
            self._tell(self._take_back)

    def _take_back(self) -> None:
        """After SIGSTOP, which nobody can catch, a shell has had the terminal: its modes, and what it wrote."""
        with suppress(OSError):
            if self._output is None or os.tcgetpgrp(self.fileno) != os.getpgrp():
                return
        with _in_background_too(), suppress(termios.error):
            if self._modes is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._modes)
        self.write(_SCREEN_MODES)
        self.take_mouse()
        self._draw_anew()

    def _draw_anew(self) -> None:
        self.app.call_later(self.app.refresh, layout=True)

    def terminal_size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self.fileno)
        except OSError:
            return 80, 24
        return width or 80, height or 24


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-Z must not stop the heartbeats."""


def _raise(error: Exception) -> None:
    """Where the app learns of it."""
    raise error


@contextmanager
def _in_background_too() -> Iterator[None]:
    """Setting a terminal's modes must not stop the process when the terminal is another's now."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})
