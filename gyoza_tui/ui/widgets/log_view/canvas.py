"""Drawing a window of a log, and the text selected in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import cut
from gyoza_tui.ui.widgets.log_view.layout import Row
from gyoza_tui.ui.widgets.log_view.line_text import ShownLine, show
from gyoza_tui.ui.widgets.log_view.paint import Brush, Margin, Span, paint
from gyoza_tui.ui.widgets.log_view.scrollbar import thumb
from gyoza_tui.ui.widgets.log_view.window import Window
from gyoza_tui.worker.view.control import Stream

_TIME: Final = "%H:%M:%S "
_TIMES_FROM_WIDTH: Final = 100
"""Cells from which on times are shown unless the user said otherwise."""
_STRIPS_MAX: Final = 500
_MARGINS: Final = 2
"""Cells left and right of the text: the gutter and the scrollbar."""
_STYLES: Final = ("time", "mark", "report", "error", "cursor", "match", "here", "bar", "thumb")


class Drawn(NamedTuple):
    """What one row of the screen shows, but for the selection."""

    row: Row | None
    cursor: bool


class Dress(NamedTuple):
    """Our styles, as they are until Textual says that they are others."""

    base: Style
    partial: dict[str, Style]
    """By name; they only say what differs."""
    ground: dict[str, Style]
    """By name: its background as it looks on ours."""


class Canvas(Widget, can_focus=True):
    """Its size never depends on the log: nothing is laid out again when that grows."""

    DEFAULT_CSS = """
    Canvas {
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
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{name}" for name in _STYLES}

    def __init__(self, options: UiOptions, line_max: int) -> None:
        super().__init__()
        self._options = options
        self._show = partial(show, limit=line_max)
        self._empty = ""
        self._times: bool | None = None
        self._wrap = False
        self._dress: Dress | None = None
        self._clear()

    def _clear(self) -> None:
        self._window = Window(self._show)
        self._cursor: int | None = None
        self._first_cell = 0
        self._marked: list[re.Pattern[str]] = []
        """What is highlighted."""
        self._drawn: list[Drawn] = []
        self._strips: dict[tuple[int, int, bool, str], tuple[ShownLine | None, Strip]] = {}
        """As painted before, by what is the same wherever the row stands."""
        self._thumb = range(0)

    def say_when_empty(self, words: str) -> None:
        """What stands where the first line would be."""
        if words != self._empty:
            self._empty = words
            if not self._window.rows:
                self.refresh()

    @property
    def text_selection(self) -> Selection | None:
        """Made here. One without ends is Textual's, of all that stands beside a rule that was clicked three times."""
        found = super().text_selection
        return found if found is not None and None not in (found.start, found.end) else None

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Not from here: most of a long one is not at hand."""
        return None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Past Textual's own way, which costs five times our rows: there is no border, padding or opacity here."""
        selection = self.text_selection
        strips = [self._row(y, selection) for y in crop.line_range]
        background = self.background_colors[1]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        return (
            strips if crop.column_span == (0, self._room.width) else [strip.crop(*crop.column_span) for strip in strips]
        )

    def render_line(self, y: int) -> Strip:
        return self._row(y, self.text_selection)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._dress = None
        self._strips.clear()

    @property
    def _room(self) -> Size:
        """Our size: without border and padding it is the outer one, which is not looked up in the layout."""
        return self.outer_size

    def _row(self, y: int, selection: Selection | None) -> Strip:
        drawn = self._drawn[y] if y < len(self._drawn) else Drawn(None, False)
        if not y and drawn.row is None:
            base = self._dressed.base
            words = Segment(cut(f" {self._empty}", self._room.width), base + self._dressed.partial["mark"])
            return Strip([words]).adjust_cell_length(self._room.width, base)
        if selection is not None:
            return self._painted(drawn, y, selection)
        row = drawn.row
        key = (row.number if row else -1, row.start if row else 0, drawn.cursor, self._bar_style(y))
        line = row.line if row else None
        painted, strip = self._strips.get(key, (None, None))
        if strip is None or painted is not line:
            strip = self._painted(drawn, y, None)
            if len(self._strips) > _STRIPS_MAX:
                self._strips.clear()
            self._strips[key] = (line, strip)
        return strip

    def _painted(self, drawn: Drawn, y: int, selection: Selection | None) -> Strip:
        over = self._dressed.ground["cursor"] if drawn.cursor else None
        strip = paint(drawn.row, self._brush(), self._margin(drawn, y), self._spans(drawn, selection), over)
        return strip.adjust_cell_length(self._room.width, self._dressed.base)

    def _forget_painted(self) -> None:
        """Nothing looks as it did."""
        self._drawn.clear()
        self._strips.clear()

    def _fit(self) -> None:
        """Take up the size, and what stands beside the text."""
        self._window.height = self._room.height
        self._window.wrap_at = self._text_width if self._wrap else None

    def _redraw(self) -> None:
        """Have the rows painted that are not on the screen as they are now."""
        self._window.arrange()
        rows: list[Row | None] = [*self._window.rows]
        rows += [None] * (self._window.height - len(rows))
        drawn = [Drawn(row, row is not None and row.number == self._cursor) for row in rows]
        width = self._room.width
        changed = [y for y, each in enumerate(drawn) if y >= len(self._drawn) or each != self._drawn[y]]
        self._drawn = drawn
        bar = self._bar()
        if bar != self._thumb:
            self._thumb = bar
            changed = list(range(len(drawn)))
        if changed:
            self.refresh(*(Region(0, first, width, rows) for first, rows in _stretches(changed)))

    def _bring_in(self, text: str, start: int, end: int) -> bool:
        """Move sideways, if need be, until those characters are on the screen; whether there was need."""
        begin, stop, width = cell_len(text[:start]), cell_len(text[:end]), self._text_width
        if self._wrap or (self._first_cell <= begin and stop <= self._first_cell + width):
            return False
        self._first_cell = 0 if stop <= width else max(0, begin - width // 2)
        return True

    @property
    def _time_width(self) -> int:
        wanted = self._room.width >= _TIMES_FROM_WIDTH if self._times is None else self._times
        return len("00:00:00 ") if wanted else 0

    @property
    def _text_begin(self) -> int:
        """The column of the text's first cell."""
        return _MARGINS // 2 + self._time_width

    @property
    def _text_width(self) -> int:
        return max(1, self._room.width - _MARGINS - self._time_width)

    def _bar(self) -> range:
        window = self._window
        visible = len({row.number for row in window.rows})
        lines, first = window.total, window.top
        if window.only is not None:
            lines, first = len(window.only), window.only.index(window.top)
        return thumb(window.height, lines, first, visible)

    def _brush(self) -> Brush:
        dress = self._dressed
        return Brush(
            width=self._text_width,
            first_cell=0 if self._wrap else self._first_cell,
            base=dress.base,
            time_width=self._time_width,
            time=dress.partial["time"],
            more=dress.partial["time"],
        )

    def _bar_style(self, y: int) -> str:
        if not self._thumb:
            return ""
        return "thumb" if y in self._thumb else "bar"

    def _margin(self, drawn: Drawn, y: int) -> Margin:
        line = drawn.row.line if drawn.row else None
        base, bar = self._dressed.base, self._bar_style(y)
        return Margin(
            self._gutter(line, drawn),
            self._time(line) if drawn.row and not drawn.row.start else "",
            Segment(" ", base + self._dressed.ground[bar] if bar else base),
        )

    def _gutter(self, line: ShownLine | None, drawn: Drawn) -> Segment:
        dress = self._dressed
        base = dress.base + dress.ground["cursor"] if drawn.cursor else dress.base
        if line is not None and line.source.stream is Stream.STDERR:
            return Segment("▎", base + dress.partial["error"])
        return Segment("►" if drawn.cursor else " ", base)

    def _time(self, line: ShownLine | None) -> str:
        if line is None or not line.source.at:
            return ""
        return datetime.fromtimestamp(line.source.at, UTC).astimezone(self._options.clock.zone).strftime(_TIME)

    def _spans(self, drawn: Drawn, selection: Selection | None) -> list[Span]:
        row, styles = drawn.row, self._dressed.partial
        if row is None or row.line is None:
            return []
        spans: list[Span] = list(row.line.spans)
        if row.line.reports:
            spans.append((0, len(row.line.text), styles["report"]))
        if row.line.source.stream is None:
            spans.append((0, len(row.line.text), styles["mark"]))
        match = styles["here" if row.number == self._cursor else "match"]
        for pattern in self._marked:
            spans += [(*found.span(), match) for found in pattern.finditer(row.line.text)]
        if selection and (chosen := selection.get_span(row.number)):
            end = len(row.line.text) if chosen[1] < 0 else chosen[1]
            spans.append((max(0, chosen[0]), end, self.screen.get_component_rich_style("screen--selection")))
        return spans

    @property
    def _dressed(self) -> Dress:
        if self._dress is None:
            partial = {name: self.get_component_rich_style(f"log--{name}", partial=True) for name in _STYLES}
            looks = {name: self.get_component_rich_style(f"log--{name}") for name in _STYLES}
            ground = {name: Style(bgcolor=look.bgcolor) for name, look in looks.items()}
            self._dress = Dress(self.rich_style, partial, ground)
        return self._dress


def _stretches(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbours together: the first of each stretch, and how many there are. One region costs as much as many rows."""
    for _, stretch in groupby(enumerate(rows), lambda each: each[1] - each[0]):
        neighbours = [row for _, row in stretch]
        yield neighbours[0], len(neighbours)
