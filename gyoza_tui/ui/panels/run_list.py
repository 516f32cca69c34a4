"""The list of runs: a window on as many as there are, with a cursor that stays on its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gyoza_tui.ui.families import Families
from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.run.line import Layout, run_line
from gyoza_tui.ui.run.phases import FINISHED
from gyoza_tui.worker.view.snapshot import RunView

_MARK: Final = "▌ "
"""Before the cursor's line: a background alone is not seen in 16 colours."""
_NO_MARK: Final = "  "
_MARGIN: Final = len(_MARK) + 2
"""With the scrollbar and a blank before it."""


class RunList(ScrollView, can_focus=True, inherit_bindings=False):
    DEFAULT_CSS = """
    RunList {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size: 0 1;
        & > .run-list--cursor { background: $block-cursor-blurred-background; }
        & > .run-list--mark { color: $text-muted; }
        &:focus > .run-list--mark { color: $accent; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-list--cursor", "run-list--mark"}
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RUNS)

    class Highlighted(Message):
        """The cursor is on another run, or on none."""

        def __init__(self, key: int | None, *, by_hand: bool) -> None:
            super().__init__()
            self.key = key
            self.by_hand = by_hand

    class Opened(Message):
        def __init__(self, key: int) -> None:
            super().__init__()
            self.key = key

    def __init__(self, zone: tzinfo | None, *, ascii_only: bool = False) -> None:
        super().__init__(id="run-list")
        self._zone = zone
        self._ascii_only = ascii_only
        self._views: Sequence[RunView] = ()
        self._now = 0.0
        self._layout = Layout.of(0, zone, ascii_only=ascii_only)
        self._cursor: int | None = None
        self._tentative = True
        """Whether the cursor was put where it is for want of a run that goes on."""
        self._touched = False
        """Whether a person has ever moved the cursor: until then it leaves what is over rather than the top."""
        self._branches: Mapping[int, str] = {}
        self._lines: dict[int, tuple[RunView, str, Content]] = {}
        """Of finished runs, by key: they stay as they are."""
        self._painted: dict[int, tuple[Content, bool]] = {}
        """What stands on the screen, by its line there."""

    @property
    def layout_of_lines(self) -> Layout:
        return self._layout

    @property
    def selected(self) -> RunView | None:
        return None if self._cursor is None else self._view_of(self._cursor)

    @property
    def views(self) -> Sequence[RunView]:
        return self._views

    @property
    def active_above(self) -> bool:
        """Whether runs that go on are above what is in sight. They are the first of the list."""
        return self.scroll_offset.y > 0 and bool(self._views) and self._views[0].phase not in FINISHED

    def show_runs(self, runs: Families, now: float) -> None:
        """In this order from the top; `now` in UTC seconds."""
        views = runs.views
        before = self._index()
        at_cursor = before is not None and self._in_sight(before)
        self._views, self._branches, self._now = views, runs.branches, now
        if len(views) != self.virtual_size.height:
            self.virtual_size = Size(self.size.width, len(views))
        self._keep_cursor(before)
        after = self._index()
        if at_cursor and after is not None and after != before:
            self._keep_in_sight(after)
        self._repaint()

    def move_to(self, key: int) -> None:
        """Put the cursor on that run, as by hand; no matter if it is not in the list."""
        index = next((i for i, view in enumerate(self._views) if view.key == key), None)
        if index is not None:
            self._move(index)

    def settle(self) -> None:
        """The cursor is where a person has led it: no run that goes on draws it away."""
        self._tentative = False

    def action_run_up(self) -> None:
        self._move_by(-1)

    def action_run_down(self) -> None:
        self._move_by(1)

    def action_run_page_up(self) -> None:
        self._move_by(-max(1, self.size.height - 1))

    def action_run_page_down(self) -> None:
        self._move_by(max(1, self.size.height - 1))

    def action_run_first(self) -> None:
        self._move(0)

    def action_run_last(self) -> None:
        self._move(len(self._views) - 1)

    def action_open(self) -> None:
        if self._cursor is not None:
            self.post_message(self.Opened(self._cursor))

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if 0 <= index < len(self._views):
            self._move(index)
            if event.chain > 1:
                self.action_open()

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()
        if (index := self._index()) is not None:
            self._keep_in_sight(index)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painted.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        index = y + self.scroll_offset.y
        if not 0 <= index < len(self._views):
            self._painted.pop(y, None)
            return Strip.blank(width, self.visual_style.rich_style)
        view = self._views[index]
        line, is_cursor = self._line(view), view.key == self._cursor
        self._painted[y] = (line, is_cursor)
        return self._strip(line, is_cursor, width)

    def _strip(self, line: Content, is_cursor: bool, width: int) -> Strip:
        cursor = ("run-list--cursor",) if is_cursor else ()
        base = self.get_visual_style(*cursor)
        mark = self.get_visual_style(*cursor, "run-list--mark")
        segments = [Segment(_MARK if is_cursor else _NO_MARK, mark.rich_style)]
        segments += [Segment(text, (base + style).rich_style) for text, style in line.render(base, "")]
        return Strip(segments).adjust_cell_length(width, base.rich_style)

    def _line(self, view: RunView) -> Content:
        known, branch = self._lines.get(view.key), self._branches.get(view.key, "")
        if known is not None and known[0] is view and known[1] == branch:
            return known[2]
        line = run_line(view, self._now, self._layout, branch)
        if view.phase in FINISHED:
            self._lines[view.key] = (view, branch, line)
        return line

    def _lay_out(self) -> None:
        self._layout = Layout.of(max(0, self.size.width - _MARGIN), self._zone, ascii_only=self._ascii_only)
        self._lines.clear()
        self._painted.clear()
        self.refresh()

    def _repaint(self) -> None:
        """Those lines that are not as they stand on the screen."""
        top = self.scroll_offset.y
        if len(self._lines) > 2 * len(self._views):
            self._lines.clear()
        for y in range(self.size.height):
            painted = self._painted.get(y)
            if not 0 <= top + y < len(self._views):
                if painted is not None:
                    self.refresh_line(top + y)
                continue
            view = self._views[top + y]
            if painted is None or painted[1] != (view.key == self._cursor) or not painted[0].is_same(self._line(view)):
                self.refresh_line(top + y)

    def _keep_cursor(self, before: int | None) -> None:
        """On its run; where that is gone, on what took its place."""
        views = self._views
        if not views:
            self._put(None, by_hand=False)
        elif self._cursor is None or (self._tentative and views[0].phase not in FINISHED):
            self._put(0, by_hand=False)
        elif self._index() is None:
            self._put(min(before or 0, len(views) - 1), by_hand=False)

    def _move_by(self, rows: int) -> None:
        index = self._index()
        if index is not None:
            self._move(max(0, min(len(self._views) - 1, index + rows)))

    def _move(self, index: int) -> None:
        if 0 <= index < len(self._views):
            self._put(index, by_hand=True)
            self._scroll_into_sight(index)
            self._repaint()

    def _put(self, index: int | None, *, by_hand: bool) -> None:
        view = None if index is None else self._views[index]
        key = None if view is None else view.key
        self._touched |= by_hand
        self._tentative = not by_hand and (view is None or view.phase in FINISHED)
        if key != self._cursor or by_hand:
            self._cursor = key
            self.post_message(self.Highlighted(key, by_hand=by_hand))

    def _index(self) -> int | None:
        return next((i for i, view in enumerate(self._views) if view.key == self._cursor), None)

    def _view_of(self, key: int) -> RunView | None:
        return next((view for view in self._views if view.key == key), None)

    def _in_sight(self, index: int) -> bool:
        return self.scroll_offset.y <= index < self.scroll_offset.y + self.size.height

    def _keep_in_sight(self, index: int) -> None:
        """The cursor, which is there: in a view that goes with it, or on the first run."""
        if self._touched or self._views[index].phase not in FINISHED:
            self._scroll_into_sight(index)
        elif not self._in_sight(index):
            self._put(0, by_hand=False)
            self._scroll_into_sight(0)

    def _scroll_into_sight(self, index: int) -> None:
        top, height = self.scroll_offset.y, self.size.height
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)
