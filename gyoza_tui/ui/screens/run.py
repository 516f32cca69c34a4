"""One run, wholly: its log, what is known of it here and at the server, and the engine's view."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from gyoza_tui.models.filters import FilterError, Key, parse, term
from gyoza_tui.ui.background import in_background
from gyoza_tui.ui.children_question import ChildrenQuestion
from gyoza_tui.ui.families import Way
from gyoza_tui.ui.format import duration
from gyoza_tui.ui.keys import refusals
from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import one_line, plain_line
from gyoza_tui.ui.panels.log import LogPane
from gyoza_tui.ui.run import tools as run_tools
from gyoza_tui.ui.run.child_lines import child_lines
from gyoza_tui.ui.run.phases import LOOKS
from gyoza_tui.ui.run.text import json_lines, run_text
from gyoza_tui.ui.screens.about_run import AboutRun
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.trouble import in_words
from gyoza_tui.ui.widgets.key_bar import KeyBar
from gyoza_tui.ui.widgets.tab_line import TabLine
from gyoza_tui.worker.view.control import Children, ControlError, LogLine, RunDetails, WorkerControl
from gyoza_tui.worker.view.snapshot import Outcome, Phase, RunView, Snapshot

_TABS: Final = ("log", "run", "inspect")
_LOG, _RUN, _INSPECT = range(len(_TABS))
_TAIL: Final = 10
_ATTEMPTS_MAX: Final = 100
_MARGIN: Final = 5
"""Cells around a line of the tab Run: padding, indent, scrollbar."""


class RunScreen(AboutRun):
    """Opened on a run as it is then, a failed one at why it failed, one that waits at its children.

    Follows it to its end and into the history.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABS)

    DEFAULT_CSS = """
    RunScreen {
        #top { height: 1; background: $surface; }
        #about { width: 1fr; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        ContentSwitcher { height: 1fr; }
        #run, #inspect { padding: 0 1; scrollbar-size-vertical: 1; }
    }
    """

    def __init__(self, control: WorkerControl, options: UiOptions, view: RunView, way: Way | None = None) -> None:
        super().__init__(control, options)
        self._view = view
        self._way = way or Way()
        self._children = ChildrenQuestion(control)
        self._known: object = None
        self._about = Content()
        self._read_last: tuple[RunDetails, tuple[LogLine, ...]] | None = None
        self._ending = False
        """Its end is being read."""

    @property
    def shown_run(self) -> RunView:
        return self._view

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield Static(id="about", markup=False)
            yield TabLine([tab.capitalize() for tab in _TABS])
        with ContentSwitcher(initial=_TABS[0]):
            yield LogPane(self._control, self._options, id="log")
            for tab in _TABS[1:]:
                with VerticalScroll(id=tab):
                    yield Static("…", id=f"{tab}-text", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.show_snapshot(self._control.snapshot())
        told = self._view.outcome is Outcome.FAILED or self._view.phase is Phase.WAITING
        self._show_tab(_RUN if told else _LOG)
        if run_tools.unseen(self._view):
            in_background(self.app, partial(run_tools.mark_seen, self._control, self._view))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if not self.display:  # dismissed while something was read for it
            return
        here = next((view for view in snapshot.runs if view.key == self._view.key), None)
        if here is not None:
            self._view = here
        elif not (self._view.closed or self._ending):
            self._ending = True
            in_background(self, self._read_end)
        about = _about(self._view, snapshot, ascii_only=self._options.ascii)
        if not about.is_same(self._about):
            self._about = about
            self.query_one("#about", Static).update(about)
        self.query_one(LogPane).show_run(self._view)
        self.show_offers()
        if self._tab == "run":
            self._ask_children(snapshot)
            self._write_details(snapshot.utc)
        known = (_changes(self._view), snapshot.history_version, snapshot.link.trouble)
        if known != self._known:
            self._known = known
            self._read()

    def look_at_log(self) -> None:
        if self._tab == "log":
            self.query_one(LogPane).look_at_log()

    def on_tab_line_asked(self, message: TabLine.Asked) -> None:
        self._show_tab(message.number)

    def action_next_panel(self) -> None:
        self._show_tab(self.query_one(TabLine).shown + 1)

    def action_previous_panel(self) -> None:
        self._show_tab(self.query_one(TabLine).shown - 1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The log's keys are there with the log only."""
        return action != "log" or not self.is_mounted or self._tab == "log"

    def action_tab_log(self) -> None:
        self._show_tab(_LOG)

    def action_tab_run(self) -> None:
        self._show_tab(_RUN)

    def action_tab_inspect(self) -> None:
        self._show_tab(_INSPECT)

    def action_family(self) -> None:
        in_background(self.app, self._go_to_family)

    def action_find(self) -> None:
        self._show_tab(_LOG)
        self.query_one(LogPane).start_find()

    def action_back(self) -> None:
        if not (self._tab == "log" and self.query_one(LogPane).step_back()):
            self.dismiss()

    @property
    def _tab(self) -> str:
        return _TABS[self.query_one(TabLine).shown]

    def _show_tab(self, number: int) -> None:
        number %= len(_TABS)
        self.query_one(TabLine).show(number)
        self.query_one(ContentSwitcher).current = _TABS[number]
        self.query_one(f"#{_TABS[number]}").focus()
        self.refresh_bindings()
        self._read()

    def _read(self) -> None:
        """What the tab shows, once more."""
        match self._tab:
            case "run":
                in_background(self, self._read_details, group="read", exclusive=True)
                self._ask_children(self._control.snapshot())
            case "inspect":
                in_background(self, self._inspect, group="read", exclusive=True)

    async def _read_end(self) -> None:
        """How the run ended, which only the history knows now."""
        try:
            wanted = parse(f'run:"{self._view.run_id}"')
            page = await aside(partial(self._control.history, wanted, _ATTEMPTS_MAX))
        except (ControlError, FilterError):
            return
        finally:
            self._ending = False
        for view in page.runs:
            if view.key == self._view.key:
                self._view = view
                self.show_snapshot(self._control.snapshot())

    def _ask_children(self, snapshot: Snapshot) -> None:
        if self._children.due(self._view, snapshot):
            in_background(self, self._read_children)

    async def _read_children(self) -> None:
        await self._children.ask(self._view)
        self._write_details(self._control.snapshot().utc)

    def _child_lines(self) -> tuple[Content, ...]:
        if self._children.trouble:
            return (one_line(self._children.trouble).stylize("$text-warning"),)
        cells = max(0, self.size.width - _MARGIN)
        return tuple(child_lines(self._children.answer or Children(), cells, ascii_only=self._options.ascii))

    async def _go_to_family(self) -> None:
        """To the screen of its parent or of a child, in the place of this one."""
        here = self._view
        key, id_ = (Key.PARENT, here.run_id) if here.parent_id is None else (Key.RUN, here.parent_id)
        try:
            page = await aside(partial(self._control.history, parse(term(key, id_)), _ATTEMPTS_MAX))
        except ControlError as error:
            say(self, str(error), "error")
            return
        found = self._way.next(here, (*self._control.snapshot().runs[::-1], *page.runs))
        if found is None:
            say(self, refusals.family(here, "at this worker"))
        elif self.app.screen is self:
            self.app.switch_screen(RunScreen(self._control, self._options, found, self._way))

    async def _read_details(self) -> None:
        try:
            details, tail = await aside(self._details)
        except (ControlError, KeyError) as error:
            self._write("run", Content.styled(plain_line(in_words(error)), "$text-error"))
            return
        if details.view.closed:
            self._view = details.view
        self._read_last = details, tail
        self._write_details(self._control.snapshot().utc)

    def _write_details(self, now: float) -> None:
        """What was read last, with what is known here now."""
        if self._read_last is not None:
            details, tail = self._read_last
            details = details._replace(view=self._view)
            self._write("run", run_text(details, tail, now, self._options.clock.zone, self._child_lines()))

    def _details(self) -> tuple[RunDetails, tuple[LogLine, ...]]:
        details = self._control.details(self._view.key)
        if details.view.outcome is not Outcome.FAILED:
            return details, ()
        return details, self._control.log_lines(self._view.key, -_TAIL, _TAIL).lines

    async def _inspect(self) -> None:
        try:
            described = await aside(partial(self._control.describe, self._view.key))
        except (ControlError, KeyError) as error:
            self._write("inspect", Content.styled(plain_line(in_words(error)), "$text-error"))
        else:
            self._write("inspect", Content("\n").join(json_lines(described)))

    def _write(self, tab: str, text: Content) -> None:
        if not self.display:
            return
        shown = self.query_one(f"#{tab}-text", Static)
        if not (isinstance(shown.content, Content) and text.is_same(shown.content)):
            shown.update(text)


def _about(view: RunView, snapshot: Snapshot, *, ascii_only: bool) -> Content:
    phase = view.phase
    look = LOOKS[phase]
    age = duration((view.outcome_at or snapshot.utc) - view.claimed_at)
    state = (f"{look.mark(ascii_only=ascii_only)} {phase}", look.style)
    return Content.assemble(
        state, "  ", one_line(view.run_id).stylize("bold"), "  ", one_line(view.op_name), f"  {age}"
    )


def _changes(view: RunView) -> object:
    """What of an attempt is worth asking the server again; not how much it has printed."""
    return (view.step, view.intent, view.exit, view.outcome, view.acked, view.cleaned, view.server_state, view.held)
