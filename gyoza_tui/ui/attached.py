"""The app on a worker in another process: it says when the worker is silent or has ended, and leaves it as it is."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textual.driver import Driver

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.contact_line import show_contact
from gyoza_tui.ui.keys import refusals
from gyoza_tui.ui.keys.key_names import key_of
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.tty.driver import GyozaDriver
from gyoza_tui.ui.tty.suspension import suspended
from gyoza_tui.ui.tty.terminal import Terminal
from gyoza_tui.ui.tty.textual_internals import UnprintedApp
from gyoza_tui.worker.view.control import WorkerControl


def run_attached(control: WorkerControl, options: UiOptions) -> BaseException | None:
    """Show the app until it is left; the error that ended it, if one did. In the main thread."""
    app = AttachedApp(control, options, GyozaDriver)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: app.call_later(app.exit))
    with _prints_after():
        app.run(mouse=options.mouse)
    return app.error


@contextmanager
def _prints_after() -> Iterator[None]:
    """What other threads print comes when the screen is over: nothing but the driver writes to it."""
    with tempfile.NamedTemporaryFile() as kept:
        terminal = Terminal(Path(kept.name))
        terminal.take()
        try:
            yield
        finally:
            terminal.give_back()
            with suppress(OSError):  # the terminal is gone
                sys.stderr.buffer.write(kept.read())
                sys.stderr.flush()


class AttachedApp(GyozaApp, UnprintedApp[Leave]):
    def __init__(self, control: WorkerControl, options: UiOptions, driver_class: type[Driver] | None = None) -> None:
        super().__init__(control, options, driver_class)
        self._life = control.contact().life

    def tick(self) -> None:
        contact = self.control.contact()
        if contact.life != self._life:
            self._life = contact.life
            self._begin_anew()
        super().tick()
        quits = key_of("quit", self.options.keymap)
        for depth, screen in enumerate(self.screen_stack):
            if not screen.is_modal:
                show_contact(screen, contact, f"{quits} {'back' if depth else 'leave'}")

    def interrupt(self) -> None:
        self.exit(Leave.BACKGROUND)

    def ask_quit(self) -> None:
        """At once where a worker that is silent or has ended can be asked nothing."""
        if refusals.lost(self.control.contact()):
            self.exit(Leave.BACKGROUND)
        else:
            super().ask_quit()

    def action_suspend(self) -> None:
        """As any program of a shell, whose whole job stops: no run would miss this process."""
        if os.getsid(os.getppid()) != os.getsid(0):
            say(self.screen, "no shell is there to bring it back: it is not stopped")
            return
        with suspended(self):
            before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.killpg(0, signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, before)

    def _begin_anew(self) -> None:
        """What attempts were named by is another start's."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        say(self.screen, "the worker was started again")
