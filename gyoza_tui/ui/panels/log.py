"""The log of one run: its title says where the run is, and what is looked for."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final, Self

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import one_line, plain_line
from gyoza_tui.ui.panels.log_keys import LogKeys
from gyoza_tui.ui.run.steps import steps_line
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.widgets.log_view import LogView, ScrollPlace, Search, moment
from gyoza_tui.ui.widgets.prompt import Prompt
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import LogHits, LogPage, LogQuery, WorkerControl
from gyoza_tui.worker.view.snapshot import Outcome, RunView

_ID: Final = 8
_RULE: Final = 12
"""Cells of the rule that are neither title nor what stands at its right."""


class Asked(StrEnum):
    """What is being typed; the value is what stands before it."""

    FIND = "/"
    ONLY = "&"
    TIME = "go to (02:14, 2026-03-14 02:14, 10m ago): "


class RunLog:
    """One attempt's log."""

    def __init__(self, control: WorkerControl, key: int) -> None:
        self._control = control
        self._key = key

    def lines(self, start: int, count: int) -> LogPage:
        return self._control.log_lines(self._key, start, count)

    def search(self, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        return self._control.log_search(self._key, query, line, backwards=backwards)


class LogPane(Vertical, LogKeys):
    """Rule, log, and a line to type into while something is typed."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LOG)

    class LineOpened(Message):
        """A line is to be shown wholly."""

        def __init__(self, key: int, number: int) -> None:
            super().__init__()
            self.key = key
            """Of its attempt."""
            self.number = number

    def __init__(
        self,
        control: WorkerControl,
        options: UiOptions,
        *,
        title: str | Content = "Log",
        id: str | None = None,  # noqa: A002 - as Widget's
    ) -> None:
        super().__init__(id=id)
        self._control = control
        self._options = options
        self._log_view = LogView(options)
        self._heading = Content(title) if isinstance(title, str) else title
        self._run: RunView | None = None
        self._complete = False
        """Whether it was asked since its end."""
        self._log_size: int | None = None
        """When it was asked last."""
        self._asked: Asked | None = None
        self._place: ScrollPlace | None = None
        """Where the log was before something was typed."""

    def compose(self) -> ComposeResult:
        yield Rule(self._heading)
        yield self._log_view
        yield Prompt()

    @property
    def log_view(self) -> LogView:
        return self._log_view

    def focus(self, scroll_visible: bool = True) -> Self:
        self.log_view.focus(scroll_visible)
        return self

    def show_run(self, view: RunView | None) -> None:
        """The run as it is now; another attempt than the one before: its log, from the end."""
        changed = (view.key if view else None) != (self._run.key if self._run else None)
        self._run = view
        if changed:
            self._complete, self._log_size = False, None
            self._stop_asking()
            self.log_view.open(RunLog(self._control, view.key) if view is not None else None)
        self._show_title()

    def look_at_log(self) -> None:
        """Ask for what came, unless it is known that nothing did, and all is searched."""
        size = self._control.log_size(self._run.key) if self._run is not None else None
        same = self._complete or (size is not None and size == self._log_size)
        view = self.log_view
        if not same or view.trouble is not None or view.searching:
            self._complete = self._run is None or self._run.cleaned
            self._log_size = size
            view.look()

    def start_find(self) -> None:
        self._ask(Asked.FIND, self.log_view.find)

    def step_back(self) -> bool:
        """Take back the last of: what is being typed, the filter, the search. Whether there was any."""
        view = self.log_view
        if self._asked is not None:
            self._take_back()
        elif view.only is not None:
            view.show_only("")
        elif view.find is not None:
            view.look_for("")
        else:
            return False
        return True

    def action_log_only(self) -> None:
        if self.log_view.only is not None:
            self.log_view.show_only("")
        else:
            self._ask(Asked.ONLY, self.log_view.find)

    def action_log_go_time(self) -> None:
        self._ask(Asked.TIME, None)

    def action_log_line(self) -> None:
        line = self.log_view.line
        if line is not None and self._run is not None:
            self.post_message(self.LineOpened(self._run.key, line.source.number))

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        event.stop()
        if self._asked is Asked.FIND:
            self._return()
            self.log_view.look_for(event.text)
        elif self._asked is Asked.ONLY:
            self.log_view.show_only(event.text)

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        event.stop()
        if self._asked is Asked.TIME:
            clock = self._options.clock
            when = moment(event.text, clock.utc(), clock.zone)
            if when is None:
                self.query_one(Prompt).refuse("not a time")
                return
            self.log_view.to_time(when)
        elif self._asked is Asked.ONLY and self.log_view.only is None:
            self.log_view.show_only(event.text)
        elif self._asked is Asked.FIND and self.log_view.find is None:
            self.log_view.look_for(event.text)
        self._stop_asking()

    def on_log_view_changed(self) -> None:
        self._show_title()

    def on_log_view_told(self, event: LogView.Told) -> None:
        say(self, event.words)

    def on_resize(self) -> None:
        self._show_title()

    def _ask(self, asked: Asked, search: Search | None) -> None:
        self._asked, self._place = asked, self.log_view.place
        self.query_one(Prompt).ask(asked, search.text if search is not None else "")

    def _take_back(self) -> None:
        if self._asked is Asked.FIND:
            self.log_view.look_for("")
        elif self._asked is Asked.ONLY:
            self.log_view.show_only("")
        self._return()
        self._stop_asking()

    def _return(self) -> None:
        if self._place is not None:
            self.log_view.return_to(self._place)

    def _stop_asking(self) -> None:
        if self._asked is not None:
            self._asked = self._place = None
            self.query_one(Prompt).close()
            self.log_view.focus()

    def _show_title(self) -> None:
        right = self._state()
        title, run = self._heading, self._run
        if run is not None:
            title = Content.assemble(title, "  ", plain_line(run.run_id)[:_ID])
            room = self.size.width - _RULE - title.cell_length - right.cell_length
            steps = steps_line(run, self._options.clock.utc().timestamp(), room)
            title = Content.assemble(title, "  ", steps) if steps else title
        self.query_one(Rule).update(title, right)
        self.log_view.say_when_empty(self._nothing())

    def _state(self) -> Content:
        """Where in the log we are, and what is looked for."""
        view = self.log_view
        if self._run is None:
            return Content()
        parts = []
        if view.trouble is not None and view.total:
            parts.append(one_line(view.trouble).stylize("$text-warning"))
        if view.follows and not self._run.cleaned:
            parts.append(Content("FOLLOW"))
        elif view.new:
            parts.append(Content.styled(f"▼ +{view.new:,} new", "$text-accent"))
        parts.append(Content(f"{view.total:,}"))
        if view.only is not None:
            parts.append(Content(f"&{plain_line(view.only.text)} {len(view.only):,}{_counting(view.only)}"))
        if view.find is not None:
            parts.append(Content(_found(view.find, view.cursor)))
        return Content("  ").join(parts)

    def _nothing(self) -> str:
        """What is said where there is no line."""
        view, run = self.log_view, self._run
        if run is None:
            return "No run is selected."
        if view.trouble is not None:
            return plain_line(view.trouble)
        if view.total:
            return "No line matches." if view.only is not None and view.only.complete else ""
        if run.outcome is None:
            wrong = "" if run.again is None else f" Tried again: {plain_line(run.again.why)}"
            return f"No output yet.{wrong}"
        why = f" {plain_line(run.outcome_note)}" if run.outcome is Outcome.FAILED else ""
        return f"This run has left no output here.{why}"


def _counting(search: Search) -> str:
    return "" if search.complete else "…"


def _found(find: Search, cursor: int | None) -> str:
    """`/loss 3/41`, with dots while it is counted."""
    here = f"{find.index(cursor) + 1:,}/" if cursor is not None and find.holds(cursor) else ""
    return f"/{plain_line(find.text)} {here}{len(find):,}{_counting(find)}"
