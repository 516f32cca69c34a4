"""The main screen: header, resources, runs, log, keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Static

from gyoza_tui.ui.actions import Scope, bindings
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.worker.control import WorkerControl
from gyoza_tui.worker.snapshot import Snapshot


class MainScreen(Screen[None]):
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.MAIN) + bindings(Scope.RUN)

    def __init__(self, control: WorkerControl, options: UiOptions) -> None:
        super().__init__()
        self._control = control
        self._options = options

    def compose(self) -> ComposeResult:
        yield Static(id="header", markup=False)

    def on_mount(self) -> None:
        self.show_snapshot(self._control.snapshot())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.query_one("#header", Static).update(f" gyoza {snapshot.worker_id} [{snapshot.state.upper()}]")
