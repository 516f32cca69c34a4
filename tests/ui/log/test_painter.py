"""How a row looks, and when it is painted again."""

from __future__ import annotations

import re

from rich.style import Style
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from gyoza_tui.ui.widgets.log_view.columns import Columns
from gyoza_tui.ui.widgets.log_view.layout import Row
from gyoza_tui.ui.widgets.log_view.line_text import show
from gyoza_tui.ui.widgets.log_view.painter import Painter
from gyoza_tui.ui.widgets.log_view.picture import Drawn
from gyoza_tui.ui.widgets.log_view.styles import Styles
from gyoza_tui.worker.view.control import LogLine, Stream
from tests.ui.still_clock import StillClock

WIDTH = 20
NAMES = ("time", "mark", "report", "error", "cursor", "match", "here", "bar", "thumb")


class Theme:
    """Each style has a colour of its own."""

    def __init__(self) -> None:
        self.asked = 0
        self.colours = {name: f"color({n})" for n, name in enumerate(NAMES, 1)}

    def styles(self) -> Styles:
        self.asked += 1
        partial = {name: Style(color=colour) for name, colour in self.colours.items()}
        ground = {name: Style(bgcolor=colour) for name, colour in self.colours.items()}
        return Styles(Style(), partial, ground, Style(reverse=True))

    def painter(self) -> Painter:
        return Painter(Columns(lambda: WIDTH), StillClock(), self.styles)

    def stretches(self, strip: Strip, name: str) -> list[str]:
        """What is written in that style."""
        return [text for text, style, _ in strip if style and style.color == Style(color=self.colours[name]).color]


def drawn(text: str, *, cursor: bool = False, stream: Stream | None = Stream.STDOUT) -> Drawn:
    line = show(LogLine(7, stream, 0.0, text.encode()))
    return Drawn(Row(7, line, 0, len(line.text)), cursor)


def test_a_row_is_painted_once_for_as_long_as_it_looks_the_same() -> None:
    theme = Theme()
    painter, row = theme.painter(), drawn("text")
    strip = painter.strip(row, "")
    assert strip.text == " text".ljust(WIDTH)
    assert painter.strip(row, "") is strip
    assert painter.strip(row, "thumb") is not strip
    assert painter.strip(row._replace(cursor=True), "") is not strip
    assert painter.strip(drawn("other"), "") is not strip
    assert theme.asked == 1


def test_it_is_painted_again_with_other_styles_and_other_matches() -> None:
    theme = Theme()
    painter, row = theme.painter(), drawn("a needle")
    assert theme.stretches(painter.strip(row, ""), "match") == []
    painter.mark([re.compile("needle")])
    assert theme.stretches(painter.strip(row, ""), "match") == ["needle"]
    theme.colours["match"] = "color(99)"
    assert theme.stretches(painter.strip(row, ""), "match") == []
    painter.restyle()
    assert theme.stretches(painter.strip(row, ""), "match") == ["needle"]


def test_the_match_at_the_cursor_looks_different() -> None:
    theme = Theme()
    painter = theme.painter()
    painter.mark([re.compile("needle")])
    strip = painter.strip(drawn("a needle", cursor=True), "")
    assert strip.text[0] == "►"
    assert theme.stretches(strip, "here") == ["needle"]
    assert theme.stretches(strip, "match") == []


def test_what_is_no_output_is_marked_and_errors_have_an_edge() -> None:
    theme = Theme()
    painter = theme.painter()
    assert theme.stretches(painter.strip(drawn("cut", stream=None), ""), "mark") == ["cut"]
    assert theme.stretches(painter.strip(drawn("err", stream=Stream.STDERR), ""), "error") == ["▎"]


def test_what_is_selected_is_painted_each_time_and_never_kept() -> None:
    painter, row = Theme().painter(), drawn("text")
    selection = Selection(Offset(1, 7), Offset(3, 7))
    reversed_ = [text for text, style, _ in painter.strip(row, "", selection) if style and style.reverse]
    assert reversed_ == ["ex"]
    assert not any(style and style.reverse for _, style, _ in painter.strip(row, ""))


def test_words_are_cut_at_the_width() -> None:
    strip = Theme().painter().words("nothing is here, and nothing will come")
    assert strip.cell_length == WIDTH
    assert strip.text.startswith(" nothing is here")
