"""The app as its host runs it: it says when it closes, and can be made to let go of the terminal."""

from __future__ import annotations

import gc
from collections.abc import Callable

from rich.console import RenderableType

from gyoza_tui.ui.app import GyozaApp
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.tty.driver import GyozaDriver
from gyoza_tui.ui.tty.textual_internals import UnprintedApp, driver_of
from gyoza_tui.worker.view.control import WorkerControl


class HostedApp(GyozaApp, UnprintedApp[Leave]):
    def __init__(self, control: WorkerControl, options: UiOptions, drawn: Callable[[], None]) -> None:
        super().__init__(control, options, GyozaDriver)
        self._drawn = drawn
        """Called when the first picture is out."""

    def on_ready(self) -> None:
        """What is here now stays: looking through it again and again for garbage would hold up keys for 50 ms."""
        gc.freeze()
        gc.enable()
        self._drawn()

    def exit(self, result: Leave | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        super().exit(result, return_code, message)
        self.closing.set()

    def let_go(self) -> None:
        """Of the terminal, whatever the app is doing."""
        if driver := driver_of(self):
            driver.stop_application_mode()
