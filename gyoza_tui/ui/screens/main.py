"""The main screen: header, resources, runs, log or worker, keys; as much of it as the terminal has room for."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget

from gyoza_tui.ui.families import Way
from gyoza_tui.ui.keys import refusals
from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.header import Header
from gyoza_tui.ui.panels.log import LogPane
from gyoza_tui.ui.panels.resources import Resources
from gyoza_tui.ui.panels.run_list import RunList
from gyoza_tui.ui.panels.runs import RunsPane
from gyoza_tui.ui.panels.worker import WorkerTab
from gyoza_tui.ui.screens.about_run import AboutRun
from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.widgets.key_bar import KeyBar
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import WorkerControl
from gyoza_tui.worker.view.snapshot import RunView, Snapshot

WIDTH_OF_ALL: Final = 80
HEIGHT_OF_ALL: Final = 16
"""Under either, one panel at a time."""
HEIGHT_WITH_KEYS: Final = 24
WIDTH_OF_ONE: Final = 30
HEIGHT_OF_ONE: Final = 8
"""Under either, one line."""
HEIGHT_WITH_RESOURCES: Final = 12
_LOG: Final = Content.assemble(("Log", "bold"), ("│Worker", "$text-muted"))
_WORKER: Final = Content.assemble(("Log│", "$text-muted"), ("Worker", "bold"))
_LOG_CELLS: Final = range(len("Log"))
_WORKER_CELLS: Final = range(len("Log│"), len("Log│Worker"))


class Panel(StrEnum):
    """In the order of the tab key; the value is the widget's id."""

    RUNS = "runs"
    LOG = "log"
    WORKER = "worker"
    RESOURCES = "resources"


_LOWER: Final = (Panel.LOG, Panel.WORKER)
"""One of them is shown, in the same place."""


class MainScreen(AboutRun):
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.MAIN)
    AUTO_FOCUS: ClassVar[str | None] = "RunList"

    def __init__(self, control: WorkerControl, options: UiOptions) -> None:
        super().__init__(control, options)
        self._panel = Panel.RUNS
        self._lower = Panel.LOG
        self._maximised = False
        self._way = Way()

    @property
    def shown_run(self) -> RunView | None:
        return self._runs.selected

    def compose(self) -> ComposeResult:
        yield Header(self._options)
        yield Resources()
        yield RunsPane(self._control, self._options)
        yield LogPane(self._control, self._options, title=_LOG, id=Panel.LOG)
        yield WorkerTab(self._control, self._options, _WORKER)
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()
        self._show_panel(self._panel)
        self.show_snapshot(self._control.snapshot())

    def on_resize(self, event: events.Resize) -> None:
        self._arrange()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._header.show_snapshot(snapshot)
        if self._resources.display:
            self._resources.show_snapshot(snapshot, self._control.samples())
        self._runs.show_snapshot(snapshot)
        self._log.show_run(self.shown_run)
        if self._lower is Panel.WORKER:
            self.query_one(WorkerTab).show_snapshot(snapshot)
        self.show_offers()

    def look_at_log(self) -> None:
        if self._log.display:
            self._log.look_at_log()

    def on_run_list_highlighted(self, event: RunList.Highlighted) -> None:
        self._log.show_run(self.shown_run)
        self.show_offers()

    def on_run_list_opened(self, event: RunList.Opened) -> None:
        if self.shown_run is not None:
            self.app.push_screen(RunScreen(self._control, self._options, self.shown_run, self._way))

    def on_rule_clicked(self, event: Rule.Clicked) -> None:
        section = event.rule.parent
        for panel in Panel:
            if section is self._of(panel):
                named = {Panel.LOG: event.cell in _LOG_CELLS, Panel.WORKER: event.cell in _WORKER_CELLS}
                asked = [tab for tab, hit in named.items() if hit and panel in _LOWER]
                self._show_panel(asked[0] if asked else panel)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """However the focus came there: by a key, the mouse, a line to type into."""
        for panel in Panel:
            if event.widget in self._of(panel).walk_children(with_self=True):
                self._enter(panel)

    def action_family(self) -> None:
        run = self.shown_run
        if run is None:
            say(self, "no run is selected")
        elif found := self._way.next(run, self._runs.run_list.views):
            self._runs.run_list.move_to(found.key)
        else:
            say(self, refusals.family(run, "in this list"))

    def action_find(self) -> None:
        if self._panel is Panel.RUNS:
            self._runs.start_filter()
        else:
            self._show_panel(Panel.LOG)
            self._log.start_find()

    def action_back(self) -> None:
        """One level: what is typed or filtered here, the maximised panel, what is filtered in the other one."""
        here, other = (self._log, self._runs) if self._panel is Panel.LOG else (self._runs, self._log)
        if here.step_back():
            return
        if self._maximised:
            self.action_maximise()
        else:
            other.step_back()

    def action_next_panel(self) -> None:
        self._step_panel(1)

    def action_previous_panel(self) -> None:
        self._step_panel(-1)

    def action_focus_resources(self) -> None:
        self._show_panel(Panel.RESOURCES)

    def action_focus_runs(self) -> None:
        self._show_panel(Panel.RUNS)

    def action_focus_log(self) -> None:
        self._show_panel(Panel.LOG)

    def action_focus_worker(self) -> None:
        self._show_panel(Panel.WORKER)

    def action_maximise(self) -> None:
        self._maximised = not self._maximised
        self._arrange()

    def action_failures(self) -> None:
        if self._runs.to_unseen_failure():
            self._show_panel(Panel.RUNS)
        else:
            say(self, "no failed run in the list that nobody has looked at")

    @property
    def _header(self) -> Header:
        return self.query_one(Header)

    @property
    def _resources(self) -> Resources:
        return self.query_one(Resources)

    @property
    def _runs(self) -> RunsPane:
        return self.query_one(RunsPane)

    @property
    def _log(self) -> LogPane:
        return self.query_one(LogPane)

    def _of(self, panel: Panel) -> Widget:
        return self.query_one(f"#{panel}")

    def _step_panel(self, step: int) -> None:
        panels = list(Panel)
        self._show_panel(panels[(panels.index(self._panel) + step) % len(panels)])

    def _show_panel(self, panel: Panel) -> None:
        self._enter(panel)
        self._of(panel).focus()

    def _enter(self, panel: Panel) -> None:
        if panel is self._panel and (panel not in _LOWER or panel is self._lower):
            return
        self._panel = panel
        if panel in _LOWER:
            self._lower = panel
        self._arrange()

    def _arrange(self) -> None:
        """What is displayed, by size and by the panel that has the focus."""
        width, height = self.size
        line = width < WIDTH_OF_ONE or height < HEIGHT_OF_ONE
        single = self._maximised or width < WIDTH_OF_ALL or height < HEIGHT_OF_ALL
        for panel in (Panel.RUNS, *_LOWER):
            shown = panel is self._panel if single else panel not in _LOWER or panel is self._lower
            self._of(panel).display = shown and not line
        beside = not self._maximised and height >= HEIGHT_WITH_RESOURCES
        self._resources.display = not line and (beside or self._panel is Panel.RESOURCES)
        self._resources.detailed = single and self._panel is Panel.RESOURCES
        self._header.only_line = line
        self.query_one(KeyBar).display = not line and height >= HEIGHT_WITH_KEYS and not self._maximised
        if self.focused is None and not line:
            self._of(self._panel).focus()
        self._show_again()

    def _show_again(self) -> None:
        """What is shown of the worker, where it is now to be seen in another way."""
        if self.is_mounted:
            self.show_snapshot(self._control.snapshot())
