"""The app on a worker in another process: it says when the worker is silent or has ended, and leaves it as it is."""

from __future__ import annotations

import os
import signal
from typing import Final

from textual.driver import Driver
from textual.widgets import Static

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.format import duration
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import one_line
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.tty.driver import GyozaDriver
from gyoza_tui.ui.tty.suspension import suspended
from gyoza_tui.ui.tty.textual_internals import UnprintedApp
from gyoza_tui.worker.view.control import Contact, WorkerControl

SILENT_S: Final = 3.0
"""A worker that is well says something twice a second."""
_LOST: Final = "-lost"


def run_attached(control: WorkerControl, options: UiOptions) -> BaseException | None:
    """Show the app until it is left; the error that ended it, if one did. In the main thread."""
    app = AttachedApp(control, options, GyozaDriver)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: app.call_later(app.exit))
    app.run(mouse=options.mouse)
    return app.error


class ContactLine(Static):
    """Why what the screen shows is old."""

    DEFAULT_CSS = """
    ContactLine { dock: top; height: 1; padding: 0 1; background: $error; color: $text; text-style: bold; }
    Screen.-lost > * { tint: $background 55%; }
    Screen.-lost > ContactLine { tint: transparent; }
    """


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
        self._show_contact(contact_words(contact))

    def interrupt(self) -> None:
        self.exit(Leave.BACKGROUND)

    def ask_quit(self) -> None:
        if self.control.contact().ended is None:
            super().ask_quit()
        else:
            self.exit(Leave.ENDED)

    def action_suspend(self) -> None:
        """As in a shell: this process is none that a run would miss."""
        with suspended(self):
            os.kill(os.getpid(), signal.SIGSTOP)

    def _refused(self, why: str | None) -> bool:
        return super()._refused(contact_words(self.control.contact()) or why)

    def _begin_anew(self) -> None:
        """What attempts were named by is another start's."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        say(self.screen, "the worker was started again")

    def _show_contact(self, words: str | None) -> None:
        for screen in self.screen_stack:
            screen.set_class(words is not None, _LOST)
            lines = screen.query(ContactLine)
            if words is None:
                lines.remove()
            elif lines:
                lines.first().update(one_line(words))
            else:
                screen.mount(ContactLine(one_line(words)))


def contact_words(contact: Contact) -> str | None:
    """Why nothing reaches the worker now; None when it is there."""
    if contact.ended is not None:
        return f"the worker has ended: {contact.ended}; waiting for its next start, q leaves"
    if contact.refused is not None and contact.silent_s >= SILENT_S:
        return f"not connected: {contact.refused}; trying again, q leaves"
    if contact.silent_s >= SILENT_S:
        return f"no word from the worker for {duration(contact.silent_s)}: what you see is as old; q leaves"
    return None
