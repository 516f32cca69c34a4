"""The worker itself: who wants it as it is, how its duties do, and what it has to say."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final, Self

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from gyoza_tui.ui.duty_workers import FOLLOWERS
from gyoza_tui.ui.format import NOT_APPLICABLE, duration
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import one_line
from gyoza_tui.ui.wanted import wanted_by
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import WorkerControl
from gyoza_tui.worker.view.snapshot import DutyStatus, Notice, Snapshot

_LEVELS: Final = {"info": (" ", ""), "warning": ("!", "$text-warning"), "error": ("✗", "$text-error")}


class WorkerTab(Vertical):
    """A section in the log's place. Newest notice last; it stays in sight as long as nobody has scrolled up."""

    DEFAULT_CSS = """
    WorkerTab {
        Static { text-wrap: nowrap; text-overflow: ellipsis; }
        #duties { height: auto; max-height: 50%; padding: 0 1; }
        #notices { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    }
    """

    def __init__(self, control: WorkerControl, options: UiOptions, title: Content) -> None:
        super().__init__(id="worker")
        self._control = control
        self._zone = options.clock.zone
        self._heading = title
        self._duty_lines = Static(id="duties", markup=False)
        self._told = Static(markup=False)
        self._scroll = VerticalScroll(id="notices")
        self._duties = Content()
        self._notices: tuple[Notice, ...] = ()

    def compose(self) -> ComposeResult:
        yield Rule(self._heading)
        yield self._duty_lines
        with self._scroll:
            yield self._told

    def focus(self, scroll_visible: bool = True) -> Self:
        self._scroll.focus(scroll_visible)
        return self

    def show_snapshot(self, snapshot: Snapshot) -> None:
        followed = {worker.name: worker.state.name for worker in self.app.workers if worker.group == FOLLOWERS}
        wanted = wanted_by(snapshot, self._zone)
        wish = [Content.styled(f"{snapshot.state} {wanted}", "$text-warning")] if wanted else []
        lines = [duty_line(duty, snapshot.taken_at, followed) for duty in snapshot.duties]
        duties = Content("\n").join([*wish, *lines])
        if not self._duties.is_same(duties):
            self._duties = duties
            self._duty_lines.update(duties)
        notices = self._control.notices()
        if notices != self._notices:
            self._notices = notices
            self._tell()

    def _tell(self) -> None:
        scroll = self._scroll
        at_end = scroll.scroll_y >= scroll.max_scroll_y
        told = Content("\n").join(notice_line(notice, self._zone) for notice in self._notices)
        self._told.update(told)
        if at_end:
            scroll.scroll_end(animate=False)


def duty_line(duty: DutyStatus, now: float, followed: dict[str, str]) -> Content:
    """`now` is boot time; `followed` the state of the app's task that follows each duty."""
    failing = duty.last_error_at is not None and duty.last_error_at > (duty.last_ok or 0)
    if not duty.alive:
        mark, style = "✗ dead", "$text-error"
    elif failing:
        mark, style = "! failing", "$text-warning"
    else:
        mark, style = "✓ well", "$text-success"
    ok = NOT_APPLICABLE if duty.last_ok is None else f"ok {duration(now - duty.last_ok)} ago"
    next_try = NOT_APPLICABLE if duty.next_try is None else f"next in {duration(duty.next_try - now)}"
    parts = [f"{ok:<18}", f"{next_try:<18}", f"{followed.get(duty.name, '?').lower():<9}"]
    if duty.deaths:
        parts.append(f"died {duty.deaths}x")
    line = Content.assemble((f"{duty.name:<11}", "bold"), (f"{mark:<11}", style), "".join(parts))
    if duty.last_error is None or duty.last_error_at is None:
        return line
    age = duration(now - duty.last_error_at)
    return Content.assemble(line, f"  {age} ago: ", one_line(duty.last_error).stylize(style if failing else "dim"))


def notice_line(notice: Notice, zone: tzinfo | None) -> Content:
    mark, style = _LEVELS[notice.level]
    at = notice.at.astimezone(zone).strftime("%H:%M:%S")
    return Content.assemble((at, "dim"), " ", (mark, style), " ", one_line(notice.text))
