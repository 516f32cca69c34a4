"""Which cells are the text's."""

from __future__ import annotations

import pytest

from gyoza_tui.ui.widgets.log_view.columns import Columns
from gyoza_tui.ui.widgets.log_view.layout import Row
from gyoza_tui.ui.widgets.log_view.line_text import show
from gyoza_tui.worker.view.control import LogLine, Stream


def columns(width: int) -> Columns:
    return Columns(lambda: width)


def row(text: str, start: int = 0, end: int | None = None) -> Row:
    return Row(0, show(LogLine(0, Stream.STDOUT, 0.0, text.encode())), start, len(text) if end is None else end)


def test_times_are_shown_where_there_is_room_unless_the_user_says_otherwise() -> None:
    wide, narrow = columns(100), columns(99)
    assert (wide.time_width, wide.text_width) == (9, 89)
    assert (narrow.time_width, narrow.text_width) == (0, 97)
    for each in (wide, narrow):
        each.toggle_times()
    assert (wide.time_width, narrow.time_width) == (0, 9)


def test_lines_are_wrapped_at_the_texts_width_as_it_is_now() -> None:
    width = 62
    resized = Columns(lambda: width)
    assert resized.wrap_at is None
    resized.toggle_wrap()
    assert resized.wrap_at == 60
    width = 32
    assert resized.wrap_at == 30


def test_sideways_goes_by_halves_and_not_past_the_longest_line() -> None:
    text = columns(42)
    seen = []
    for halves in (1, 1, 1, -1, -3):
        text.move_sideways(halves, longest=50)
        seen.append(text.first_cell)
    assert seen == [20, 40, 40, 20, 0]
    text.toggle_wrap()
    text.move_sideways(1, longest=50)
    assert text.first_cell == 0


@pytest.mark.parametrize(("at", "first_cell"), [(5, 0), (100, 80), (30, 0)])
def test_a_match_is_brought_in_with_as_much_of_its_begin_as_there_is_room(at: int, first_cell: int) -> None:
    text = columns(42)
    text.first_cell = 60
    assert text.bring_in("x" * 200, at, at + 3)
    assert text.first_cell == first_cell
    assert not text.bring_in("x" * 200, at, at + 3)


def test_the_character_below_the_mouse_is_one_of_the_row() -> None:
    text = columns(42)
    assert [text.character_at(row("abcdef"), x) for x in (0, 1, 3, 40)] == [0, 0, 2, 6]
    assert text.character_at(row("abcdefgh", 3, 6), 40) == 5
    text.move_sideways(1, longest=100)
    assert text.character_at(row("x" * 100), 1) == 20
    assert text.character_at(Row(0, None, 0, 0), 7) == 0


def test_the_last_cell_is_the_scrollbars() -> None:
    assert [columns(42).on_scrollbar(x) for x in (40, 41)] == [False, True]
