"""The main screen: header, resources, runs, log, keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from gyoza_tui.ui.actions import Scope, bindings
from gyoza_tui.ui.screens.about_run import AboutRun
from gyoza_tui.worker.snapshot import RunView, Snapshot


class MainScreen(AboutRun):
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.MAIN)

    @property
    def shown_run(self) -> RunView | None:
        return None

    def compose(self) -> ComposeResult:
        yield Static(id="header", markup=False)

    def on_mount(self) -> None:
        self.show_snapshot(self._control.snapshot())

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.query_one("#header", Static).update(f" gyoza {snapshot.worker_id} [{snapshot.state.upper()}]")
