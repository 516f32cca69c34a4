"""The worker itself, as a section in the log's place."""

from __future__ import annotations

from typing import Self

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.worker import WorkerPanel
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.control import WorkerControl
from gyoza_tui.worker.snapshot import Snapshot


class WorkerTab(Vertical):
    def __init__(self, control: WorkerControl, options: UiOptions, title: Content) -> None:
        super().__init__(id="worker")
        self._control = control
        self._options = options
        self._heading = title

    def compose(self) -> ComposeResult:
        yield Rule(self._heading)
        yield WorkerPanel(self._options.clock.zone)

    def focus(self, scroll_visible: bool = True) -> Self:
        self.query_one(VerticalScroll).focus(scroll_visible)
        return self

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.query_one(WorkerPanel).show_snapshot(snapshot, self._control.notices())
