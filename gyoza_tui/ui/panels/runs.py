"""What runs, what ran, and if nothing runs: why not."""

from __future__ import annotations

from functools import partial
from typing import Final, Self

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from gyoza_tui.models.filters import FilterError, RunFilter, parse
from gyoza_tui.ui.background import in_background
from gyoza_tui.ui.families import Families, in_families
from gyoza_tui.ui.keys.key_names import key_of
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import one_line, plain_line
from gyoza_tui.ui.panels.checklist import Checklist
from gyoza_tui.ui.panels.run_list import RunList
from gyoza_tui.ui.queue_question import QueueQuestion
from gyoza_tui.ui.run import tools as run_tools
from gyoza_tui.ui.run.phases import FINISHED
from gyoza_tui.ui.why_nothing_runs import Cause, Reason, something_runs, why_nothing_runs
from gyoza_tui.ui.widgets.lines import Lines
from gyoza_tui.ui.widgets.prompt import Prompt
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import ControlError, HistoryPage, WorkerControl
from gyoza_tui.worker.view.snapshot import RunView, Snapshot

HISTORY_MAX: Final = 1000
_MARGIN: Final = 4
"""Cells before the words of a reason."""


class RunsPane(Vertical):
    """Rule, column titles, why nothing runs, the list, and a line to type a filter into while one is typed."""

    def __init__(self, control: WorkerControl, options: UiOptions) -> None:
        super().__init__(id="runs")
        self._control = control
        self._options = options
        self._snapshot: Snapshot | None = None
        self._wanted = RunFilter()
        self._filter_text = ""
        self._page = HistoryPage((), 0)
        self._read: tuple[tuple[str, int], int, RunFilter, int] | None = None
        """What the page answers, or is being asked."""
        self._reading = False
        self._trouble = ""
        self._queue = QueueQuestion(control)
        self._leaving: dict[int, RunView] = {}
        """Runs that were closed since the page was read."""
        self._shown = Families((), {})
        self._made_of: object = None

    def compose(self) -> ComposeResult:
        yield Rule("Runs")
        yield Lines(id="run-titles")
        yield Checklist()
        yield Lines(id="run-reasons")
        yield RunList(self._options.clock.zone, ascii_only=self._options.ascii)
        yield Prompt()

    def focus(self, scroll_visible: bool = True) -> Self:
        self.run_list.focus(scroll_visible)
        return self

    @property
    def run_list(self) -> RunList:
        return self.query_one(RunList)

    @property
    def selected(self) -> RunView | None:
        return self.run_list.selected

    def show_snapshot(self, snapshot: Snapshot) -> None:
        before, self._snapshot = self._snapshot, snapshot
        if before is not None:
            here = {view.key for view in snapshot.runs}
            self._leaving |= {view.key: view for view in before.runs if view.key not in here}
        self._ask_history()
        if self._queue.due(snapshot):
            in_background(self, self._queue.ask)
        self._draw()

    def start_filter(self) -> None:
        self.query_one(Prompt).ask("/", self._filter_text)

    def step_back(self) -> bool:
        """Take back what is being typed, and the filter with it; whether there was any."""
        if not (self.query_one(Prompt).asking or self._filter_text):
            return False
        self._close_prompt()
        self._filter_by("")
        return True

    def to_unseen_failure(self) -> bool:
        """Put the cursor on the next failed run that nobody has looked at; whether there is one in the list."""
        views = self.run_list.views
        at = next((i for i, view in enumerate(views) if view is self.selected), -1)
        for view in (*views[at + 1 :], *views[: at + 1]):
            if run_tools.unseen(view):
                self.run_list.move_to(view.key)
                return True
        return False

    def text_to_copy(self) -> str | None:
        return self.selected.run_id if self.selected else None

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def on_prompt_typed(self, event: Prompt.Typed) -> None:
        event.stop()
        self._filter_by(event.text)

    def on_prompt_entered(self, event: Prompt.Entered) -> None:
        event.stop()
        if self._filter_by(event.text):
            self._close_prompt()
            self.run_list.settle()

    def on_run_list_highlighted(self, event: RunList.Highlighted) -> None:
        view = self.selected
        if self._snapshot is not None:
            self._draw_rule(self._snapshot)
        if event.by_hand and view is not None and run_tools.unseen(view):
            in_background(self.app, partial(run_tools.mark_seen, self._control, view))

    def _filter_by(self, text: str) -> bool:
        """Whether it can be understood; else it is said why not, and the list stays as it is."""
        try:
            self._wanted = parse(text)
        except FilterError as error:
            self.query_one(Prompt).refuse(plain_line(str(error).partition(";")[0]))
            return False
        self._filter_text = text.strip()
        self._ask_history()
        self._draw()
        return True

    def _close_prompt(self) -> None:
        if self.query_one(Prompt).asking:
            self.query_one(Prompt).close()
            self.run_list.focus()

    def _ask_history(self) -> None:
        if self._snapshot is None or self._reading:
            return
        period = self._wanted.good_for_s
        now = 0 if period is None else int(self._snapshot.taken_at / period)
        question = (self._control.contact().life, self._snapshot.history_version, self._wanted, now)
        if question != self._read:
            self._read, self._reading = question, True
            in_background(self, partial(self._read_history, self._wanted, frozenset(self._leaving)))

    async def _read_history(self, wanted: RunFilter, leaving: frozenset[int]) -> None:
        try:
            self._page = await aside(partial(self._control.history, wanted, HISTORY_MAX))
        except ControlError as error:
            self._trouble, self._read = plain_line(str(error)), None
        else:
            self._trouble = ""
            self._leaving = {key: view for key, view in self._leaving.items() if key not in leaving}
        finally:
            self._reading = False
        self._ask_history_of_now()
        self._draw()

    def _ask_history_of_now(self) -> None:
        """At once where something else is wanted meanwhile; what went wrong waits for the next look."""
        if self._read is not None:
            self._ask_history()

    def _draw(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        self.run_list.show_runs(self._list(snapshot), snapshot.utc)
        views = self._shown.views
        self._draw_rule(snapshot)
        first_start = snapshot.link.beat_at is None and not views and not self._filter_text
        self._draw_checklist(snapshot, shown=first_start)
        reasons = () if first_start else self._reasons(snapshot, views)
        self.query_one("#run-reasons", Lines).show_lines(reasons)
        self._draw_titles()

    def _draw_rule(self, snapshot: Snapshot) -> None:
        self.query_one(Rule).update(self._title(snapshot), self._right(self._shown.views))

    def _draw_titles(self) -> None:
        titles = Content.assemble("  ", self.run_list.layout_of_lines.titles()).stylize("$text-muted")
        self.query_one("#run-titles", Lines).show_lines((titles,) if self.run_list.views else ())

    def _draw_checklist(self, snapshot: Snapshot, *, shown: bool) -> None:
        self.set_class(shown, "-first-start")
        if shown:
            self.query_one(Checklist).show_snapshot(snapshot, self._control.checks())

    def _list(self, snapshot: Snapshot) -> Families:
        parts = (snapshot.runs, self._page, tuple(self._leaving), self._wanted)
        if parts != self._made_of:
            self._made_of = parts
            goes_on, over = in_families(self._going_on(snapshot)), in_families(self._over(snapshot))
            self._shown = Families((*goes_on.views, *over.views), {**goes_on.branches, **over.branches})
        return self._shown

    def _going_on(self, snapshot: Snapshot) -> list[RunView]:
        """The newest first."""
        newest = snapshot.runs[::-1]
        return [view for view in newest if view.phase not in FINISHED and self._lets_through(view, snapshot)]

    def _over(self, snapshot: Snapshot) -> list[RunView]:
        """The newest first: what has just ended, the history."""
        newest = snapshot.runs[::-1]
        here = {view.key for view in newest}
        ended = [view for view in newest if view.phase in FINISHED]
        past = {view.key for view in self._page.runs}
        left = [view for key, view in self._leaving.items() if key not in here | past]
        new = [view for view in (*ended, *left) if self._lets_through(view, snapshot)]
        return [*new, *(view for view in self._page.runs if view.key not in here)]

    def _lets_through(self, view: RunView, snapshot: Snapshot) -> bool:
        return not self._wanted or self._wanted.matches(view.facts(snapshot.worker_id), snapshot.utc)

    def _title(self, snapshot: Snapshot) -> Content:
        tally = snapshot.tally
        going = [view for view in snapshot.runs if view.outcome is None]
        waiting = {view.run_id for view in going if view.waits is not None}
        active = len({view.run_id for view in going} - waiting)
        counts = [f"{active} active", *([f"{len(waiting)} waiting"] if waiting else []), f"{tally.completed:,} done"]
        counts += [f"{tally.failed:,} failed"] if tally.failed else []
        counts += [f"{tally.cancelled:,} cancelled"] if tally.cancelled else []
        counts += [f"{tally.other:,} released or lost"] if tally.other else []
        words = Content.styled(" · ".join(counts), "$foreground")
        if self.run_list.active_above:
            first = key_of("run_first", self._options.keymap)
            words = Content.assemble("▲ ", words[: len(counts[0])], f" ({first})", words[len(counts[0]) :])
        return Content.assemble(("Runs", "bold"), "  ", words)

    def _right(self, views: tuple[RunView, ...]) -> Content:
        if self._trouble:
            return Content.styled(f"history: {self._trouble}", "$text-warning")
        if self._filter_text:
            return Content.assemble(("/", "$accent"), one_line(self._filter_text, 40), f"  {len(views):,} match")
        older = self._page.total - len(self._page.runs)
        return Content.styled(f"{older:,} older ones not listed", "$text-muted") if older > 0 else Content()

    def _reasons(self, snapshot: Snapshot, views: tuple[RunView, ...]) -> tuple[Content, ...]:
        if self._filter_text:
            if views:
                return ()
            nothing = Content.assemble("  nothing matches ", one_line(self._filter_text, 40).stylize("bold"))
            return (Content.assemble(nothing, ("  esc shows all", "$text-muted")),)
        reasons = why_nothing_runs(
            snapshot, self._options.clock.zone, why_queued=self._queue.answer, to_submit=self._options.to_submit
        )
        if something_runs(snapshot):
            reasons = tuple(reason for reason in reasons if reason.cause is Cause.UNPLACED)
        return tuple(line for reason in reasons for line in self._reason_lines(reason))

    def _reason_lines(self, reason: Reason) -> list[Content]:
        mark, style = ("✗", "$text-error") if reason.wrong else ("○", "$text-muted")
        act = f"{key_of(reason.key, self._options.keymap)} {reason.act}" if reason.key else reason.act
        words = Content.assemble((reason.cause, "bold"), "  ", reason.text, (f"  {act}", "$text-muted"))
        first, *more = words.wrap(max(1, self.size.width - _MARGIN - 1))
        return [
            Content.assemble("  ", (mark, style), " ", first),
            *(Content.assemble(" " * _MARGIN, line) for line in more),
        ]
