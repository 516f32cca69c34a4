"""Numbers in few cells, and text from outside as one harmless line."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from gyoza_tui.ui.format import clock, duration, moment, part_of, percent, size, took
from gyoza_tui.ui.outside_text import cut, fitted, one_line, plain_line
from gyoza_tui.ui.run.phases import LOOKS, WORD_WIDTH
from gyoza_tui.worker.view.snapshot import Phase
from tests.ui.fake_control import NOW
from tests.ui.still_clock import StillClock


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "?"), (-3, "0:00"), (7.9, "0:07"), (190, "3:10"), (3599, "59:59"), (11_400, "3h10m"), (180_000, "2d02h")],
)
def test_a_duration_needs_six_cells_at_most(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(None, "?"), (0.24, "0.2s"), (14.9, "14s"), (61, "1:01")])
def test_what_may_take_an_instant_has_a_tenth(seconds: float | None, shown: str) -> None:
    assert took(seconds) == shown


@pytest.mark.parametrize(
    ("mb", "shown"), [(None, "?"), (0, "0M"), (999, "999M"), (1000, "1G"), (1536, "1.5G"), (421_888, "412G")]
)
def test_a_size_has_three_digits(mb: float | None, shown: str) -> None:
    assert size(mb) == shown


@pytest.mark.parametrize(
    ("mb", "total", "shown"),
    [
        (62_464, 81_920, "61/80G"),
        (412, 900, "412/900M"),
        (None, 81_920, "?/80G"),
        (5, None, "5M/?"),
        (0, 81_920, "0/80G"),
    ],
)
def test_a_part_is_told_in_the_unit_of_the_whole(mb: float | None, total: float | None, shown: str) -> None:
    assert part_of(mb, total) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "   ?"), (0.0, "  0%"), (99.9, " 99%"), (100.0, "100%"), (250, "100%")]
)
def test_only_what_is_done_is_a_hundred_percent(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def test_a_time_has_its_day_unless_it_is_today() -> None:
    zone = StillClock().zone
    assert clock(NOW, zone) == "02:14"
    assert moment(NOW - 3600, NOW, zone) == "01:14"
    assert moment(NOW - 5 * 3600, NOW, zone) == "13 Mar 21:14"


def test_no_escape_sequence_and_no_control_character_gets_through() -> None:
    shown = plain_line("a\x1b[31mred\x1b]52;c;QUJD\x07\x1b[2J\x9b1m\rb\tc\nd\u202e\u2066e\x00")
    assert shown.isprintable()
    assert "QUJD" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_pile_of_marks_is_lowered_and_a_width_that_terminals_disagree_on_goes() -> None:
    assert plain_line("e" + "\u0301" * 50) == "e\u0301\u0301"
    assert plain_line("\u2764\ufe0f") == "\u2764"


def test_a_giant_name_is_looked_at_no_further_than_any_screen_shows() -> None:
    assert len(plain_line("x" * 10_000_000)) < 10_000


@pytest.mark.parametrize("cells", [0, 1, 2, 3, 4, 5, 8])
def test_text_is_cut_to_cells_not_to_characters(cells: int) -> None:
    for text in ("日本語テキスト", "plain text", "x日y本z語", "e\u0301" * 9):
        assert cell_len(cut(text, cells)) <= cells
        assert cell_len(fitted(text, cells)) == cells


def test_what_is_cut_says_so() -> None:
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"


def test_markup_is_text() -> None:
    assert one_line("[/foo][bold]x").plain == "[/foo][bold]x"
    assert one_line("[bold]x").spans == []


def test_each_phase_has_a_look_and_each_glyph_is_one_cell() -> None:
    assert set(LOOKS) == set(Phase)
    assert all(cell_len(look.glyph) == 1 for look in LOOKS.values())
    assert all(len(look.ascii) == 1 and look.ascii.isascii() for look in LOOKS.values())
    assert all(len(phase) <= WORD_WIDTH for phase in Phase)
