"""The widget: a log that is read, searched and moved about in."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.renderables.tint import Tint
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from gyoza_tui.ui.background import Work, in_background
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.widgets.log_view import selecting
from gyoza_tui.ui.widgets.log_view.columns import Columns
from gyoza_tui.ui.widgets.log_view.cursor import Cursor
from gyoza_tui.ui.widgets.log_view.feed import Feed
from gyoza_tui.ui.widgets.log_view.finder import Finder
from gyoza_tui.ui.widgets.log_view.goal import Goal
from gyoza_tui.ui.widgets.log_view.line_text import LINE_MAX, ShownLine, show
from gyoza_tui.ui.widgets.log_view.mouse import Mouse
from gyoza_tui.ui.widgets.log_view.painter import Painter
from gyoza_tui.ui.widgets.log_view.picture import Picture
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.styles import CLASSES, styles_of
from gyoza_tui.ui.widgets.log_view.window import ScrollPlace, Window, in_runs

FEED: Final = "log feed"
"""The group of the task that reads the log shown, for as long as it is."""
_LEFT: Final = 1


class LogView(Widget, can_focus=True):
    """Shows the log that it was given, and stays responsive whatever its source does.

    Its size never depends on the log: nothing is laid out again when that grows.
    """

    ALLOW_SELECT = False
    """By Textual: its selection ends at the edge, or goes on in what stands beside."""
    DEFAULT_CSS = """
    LogView {
        height: 1fr;
        & > .log--time { color: $text-muted; }
        & > .log--mark { color: $text-muted; text-style: italic; }
        & > .log--report { color: $text-muted; }
        & > .log--error { color: $error; }
        & > .log--cursor { background: $foreground 12%; }
        & > .log--match { background: $warning; color: $background; }
        & > .log--here { background: $accent; color: $background; text-style: bold; }
        & > .log--bar { background: $foreground 8%; }
        & > .log--thumb { background: $foreground 40%; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {*CLASSES}

    class Changed(Message):
        """What it says of itself is different: place, searches, whether there is anything. Not how many lines."""

    class Told(Message):
        """Words for a person."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, options: UiOptions, *, line_max: int = LINE_MAX) -> None:
        super().__init__()
        self._show = partial(show, limit=line_max)
        self._empty = ""
        self._columns = Columns(lambda: self.outer_size.width)  # with no border, and not looked up in the layout
        self._painter = Painter(self._columns, options.clock, partial(styles_of, self))
        self._picture = Picture()
        self._reset(None)

    def _reset(self, source: LogReader | None) -> None:
        self._source = source
        self._window = Window(self._show)
        self._cursor = Cursor(self._window)
        self._mouse = Mouse(self, self._window, self._columns)
        self._columns.first_cell = 0
        self._painter.mark(())
        self._feed = Feed(source, self._window, self._lines_came) if source is not None else None
        self._finder = Finder(self, source, self._window, self._cursor) if source is not None else None
        self._told: object = None

    @property
    def total(self) -> int:
        """Lines of the log so far."""
        return self._window.total

    @property
    def new(self) -> int:
        """Lines that came since it does not follow, and were not on the screen yet."""
        return self._window.new

    @property
    def follows(self) -> bool:
        return self._window.follow

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be read."""
        return self._feed.trouble if self._feed is not None else None

    @property
    def reading(self) -> bool:
        """Whether lines were asked for that have not come yet."""
        return self._feed is not None and self._feed.reading

    @property
    def find(self) -> Search | None:
        return self._finder.find if self._finder is not None else None

    @property
    def only(self) -> Search | None:
        return self._finder.only if self._finder is not None else None

    @property
    def searching(self) -> bool:
        """Whether there are lines that were not looked through yet."""
        return self._finder is not None and not self._finder.complete

    @property
    def cursor(self) -> int | None:
        return self._cursor.number

    @property
    def line(self) -> ShownLine | None:
        """The line that things are about: the cursor's, else the last one, or the first on the screen."""
        return self._cursor.line

    @property
    def shows_times(self) -> bool:
        return bool(self._columns.time_width)

    @property
    def text_selection(self) -> Selection | None:
        """Made here. One without ends is Textual's, of all that stands beside a rule that was clicked three times."""
        found = super().text_selection
        return found if found is not None and None not in (found.start, found.end) else None

    @property
    def selects(self) -> bool:
        """Whether the mouse is selecting text."""
        return self._mouse.selects

    def say_when_empty(self, words: str) -> None:
        """What stands where the first line would be."""
        if words != self._empty:
            self._empty = words
            if not self._window.rows:
                self.refresh()

    def open(self, source: LogReader | None) -> None:
        """Show another log, from its end; None: nothing."""
        if self.text_selection is not None:
            self.screen.clear_selection()
        self._mouse.release()
        self._reset(source)
        self.workers.cancel_node(self)
        if self._feed is not None:
            in_background(self, self._feed.serve, group=FEED)
        self._refit()
        self.look()

    def look(self) -> None:
        """Ask whether the log has grown."""
        if self._feed is not None:
            self._feed.look()

    def scroll_rows(self, rows: int) -> None:
        self._window.scroll(rows)
        self._moved()

    def scroll_to_share(self, share: float) -> None:
        """0 is the begin, 1 the end."""
        self._window.go_to_share(share)
        self._moved()

    def page(self, pages: int) -> None:
        self.scroll_rows(pages * max(1, self._window.height - 1))

    def put_cursor(self, number: int) -> None:
        """On a line that is on the screen."""
        self._cursor.number = number
        self._moved()

    def move_cursor(self, lines: int) -> None:
        """By one line; at the edge of the screen the text moves."""
        self._cursor.move(lines)
        self._moved()

    def go_to_first(self) -> None:
        self._window.go_to_first()
        self._moved()

    def go_to(self, number: int) -> None:
        """Put the cursor on a line, and the line on the screen."""
        self._cursor.go_to(number)
        self._moved()

    @property
    def place(self) -> ScrollPlace:
        return self._window.place

    def return_to(self, place: ScrollPlace) -> None:
        self._cursor.number = None
        self._window.return_to(place)
        self._moved()

    def set_follow(self, follow: bool) -> None:
        if follow:
            self._window.follow = True
        else:
            self._window.stand_still()
        self._moved()

    def sideways(self, halves: int) -> None:
        longest = max((cell_len(row.line.text) for row in self._window.rows if row.line), default=0)
        self._columns.move_sideways(halves, longest)
        self._refit()

    def toggle_wrap(self) -> None:
        self._columns.toggle_wrap()
        self._refit()

    def toggle_times(self) -> None:
        self._columns.toggle_times()
        self._refit()

    def look_for(self, text: str) -> None:
        """Go to the nearest line with that text; empty: look for nothing."""
        if self._finder is not None:
            self._finder.look_for(text)

    def show_only(self, text: str) -> None:
        """Leave out the lines without that text; empty: show all."""
        if self._finder is not None:
            self._finder.show_only(text)

    def step(self, goal: Goal) -> None:
        """To the next or previous match."""
        if self._finder is None:
            self.say("nothing to find")
        else:
            self._finder.step(goal)

    def to_error(self, *, backwards: bool) -> None:
        """To the next line that tells of an error, or the one before."""
        if self._finder is not None:
            self._finder.to_error(backwards=backwards)

    def to_time(self, when: datetime) -> None:
        """To the first line that came then or later."""
        if self._finder is not None:
            self._finder.to_time(when)

    def searches_changed(self) -> None:
        """Highlight what is looked for now."""
        if self._finder is not None:
            self._painter.mark(self._finder.patterns)
            self._refit()

    def matches_changed(self) -> None:
        self._moved()

    def say(self, words: str) -> None:
        self.post_message(self.Told(words))

    def begin(self, work: Work, *, alone: bool = False) -> None:
        """Until another log is opened."""
        in_background(self, work, group="log seek" if alone else "log", exclusive=alone)

    def select(self, selection: Selection | None) -> None:
        if selection is None:
            self.screen.clear_selection()
        else:
            self.screen.selections = {self: selection}

    async def selected_text(self) -> str:
        """As it is shown, read anew: most of it may not be at hand. Raises TooMuch, ControlError, KeyError."""
        selection, source = self.text_selection, self._source
        if selection is None or source is None:
            return ""
        wanted = selecting.numbers(selection, self._window.order)
        return await aside(partial(selecting.read, selection, wanted, source, self._show))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Not from here: most of a long one is not at hand."""
        return None

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self._refit()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._mouse.release()  # a button that was let go outside the terminal was not told
        if event.button == _LEFT:
            self._mouse.press(event.offset)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._mouse.move(event.offset)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def on_mouse_release(self) -> None:
        """Also when another screen takes the mouse."""
        self._mouse.release()

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()
        self._mouse.click(event.offset, event.chain)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Past Textual's own way, which costs five times our rows: there is no border, padding or opacity here."""
        selection = self.text_selection
        strips = [self._row(y, selection) for y in crop.line_range]
        background = self.background_colors[1]
        if (tint := self.styles.tint).a:
            strips = [
                Strip(Tint.process_segments(strip, tint, self.app.ansi_theme, background), strip.cell_length)
                for strip in strips
            ]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        if crop.column_span == (0, self._columns.row_width):
            return strips
        return [strip.crop(*crop.column_span) for strip in strips]

    def render_line(self, y: int) -> Strip:
        return self._row(y, self.text_selection)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter.restyle()

    def _row(self, y: int, selection: Selection | None) -> Strip:
        drawn = self._picture.row(y)
        if not y and drawn.row is None:
            return self._painter.words(self._empty)
        return self._painter.strip(drawn, self._picture.bar(y), selection)

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        event.stop()
        event.prevent_default()
        self._mouse.wheel(direction)

    def _refit(self) -> None:
        """Draw everything again, in the size and manner of now."""
        self._window.height = self.outer_size.height
        self._window.wrap_at = self._columns.wrap_at
        self._forget_painted()
        self._moved()

    def _forget_painted(self) -> None:
        self._picture.forget()
        self._painter.forget()

    def _redraw(self) -> None:
        """Have the rows painted that are not on the screen as they are now."""
        self._window.arrange()
        changed = in_runs(self._picture.show(self._window, self.cursor))
        if changed:  # one region costs as much as many rows
            width = self._columns.row_width
            self.refresh(*(Region(0, rows.start, width, len(rows)) for rows in changed))

    def _moved(self) -> None:
        self._redraw()
        if self._brings_match_in():
            self._forget_painted()
            self._redraw()
        if self._feed is not None:
            self._feed.ask()
        self._tell()

    def _brings_match_in(self) -> bool:
        """Move sideways to the match that was gone to, as soon as its line is at hand; whether there was need."""
        line, finder = self.line, self._finder
        match = finder.match_gone_to(line) if finder is not None and line is not None else None
        return match is not None and line is not None and self._columns.bring_in(line.text, *match)

    def _tell(self) -> None:
        searches = [(len(search), search.complete) if search is not None else None for search in (self.find, self.only)]
        told = (bool(self.total), bool(self.new), self.follows, self.trouble, self.cursor, searches)
        if told != self._told:
            self._told = told
            self.post_message(self.Changed())

    def _lines_came(self, before: int) -> None:
        if self._finder is not None:
            self._finder.look(max(0, before - 1) if self.total > before else None)
        self._moved()
