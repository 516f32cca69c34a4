"""Every row is exactly as wide as the view, whatever is in the line."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from gyoza_tui.ui.widgets.log_view.cells import character_at, cutout, row_starts
from gyoza_tui.ui.widgets.log_view.layout import Row
from gyoza_tui.ui.widgets.log_view.line_text import show
from gyoza_tui.ui.widgets.log_view.paint import Brush, Margin, Span, paint
from gyoza_tui.worker.view.control import LogLine, Stream

PLAIN = Style.null()
BOLD = Style(bold=True)
MARGIN = Margin(Segment(" "), "02:14:10 ", Segment(" "))
texts = st.text(st.sampled_from("ab \t\u65e5\u0301\U0001f600\u200d\ufe0f\x1b[1m\u00e9\u0e33"), max_size=40)


def brush(width: int, first_cell: int = 0, time_width: int = 0) -> Brush:
    return Brush(width, first_cell, PLAIN, time_width, PLAIN, PLAIN)


def row_of(data: bytes) -> Row:
    line = show(LogLine(7, Stream.STDOUT, 0.0, data))
    return Row(7, line, 0, len(line.text))


@example("11\u03011", b"", 1, 1, 0)
@example("\u65e5\u65e5", b"", 1, 1, 0)
@given(texts, st.binary(max_size=40), st.integers(1, 30), st.integers(0, 40), st.sampled_from([0, 9]))
def test_a_strip_is_as_wide_as_it_says_and_holds_no_control(
    text: str, raw: bytes, width: int, first_cell: int, time_width: int
) -> None:
    for data in (text.encode(), raw):
        row = row_of(data)
        spans: list[Span] = [(0, 3, BOLD), (2, 99, BOLD)]
        strip = paint(row, brush(width, first_cell, time_width), MARGIN, spans)
        assert cell_len(strip.text) == strip.cell_length == width + time_width + 2
        assert not re.search("[\x00-\x1f\x7f-\x9f]", strip.text)


@given(texts, st.integers(2, 30))
def test_wrapped_rows_hold_all_of_a_line_and_fit(text: str, width: int) -> None:
    shown = row_of(text.encode()).line
    assert shown is not None
    starts = row_starts(shown.text, width)
    parts = [shown.text[a:b] for a, b in zip(starts, (*starts[1:], len(shown.text)), strict=True)]
    assert "".join(parts) == shown.text
    assert all(cell_len(part) <= width for part in parts)
    assert all(parts) or parts == [""]


def test_a_wide_character_on_the_edge_is_not_cut_in_two() -> None:
    text = "a\u65e5\u672cb"
    assert cutout(text, 0, 2) == (0, 1, 0)
    assert cutout(text, 2, 4) == (2, 4, 1)
    assert row_starts(text, 2) == (0, 1, 2, 3)
    assert paint(row_of(text.encode()), brush(4, 2), MARGIN, []).text == "  \u672cb "


def test_a_mark_stays_with_its_letter() -> None:
    assert row_starts("ae\u0301b", 2) == (0, 3)
    assert cutout("ae\u0301b", 1, 1) == (1, 3, 0)


def test_a_row_that_goes_on_says_so() -> None:
    assert paint(row_of(b"abcdef"), brush(4), MARGIN, []).text == " abc\u00bb "
    assert paint(row_of(b"abcd"), brush(4), MARGIN, []).text == " abcd "
    assert paint(row_of("ab\u65e5\u65e5".encode()), brush(4), MARGIN, []).text == " ab \u00bb "


@pytest.mark.parametrize(
    ("start", "cell", "character"), [(0, 0, 0), (0, 2, 1), (0, 3, 2), (1, 0, 1), (1, 2, 2), (0, 9, 4)]
)
def test_which_character_is_in_a_cell(start: int, cell: int, character: int) -> None:
    assert character_at("a\u65e5\u672cb", start, cell) == character
    assert character_at("abcd", start, cell) == min(4, start + cell)
