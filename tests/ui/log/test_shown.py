"""What is shown of a line is harmless, and as near to what a terminal would show as that allows."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.style import Style

from gyoza_tui.models.ansi import SGR, only_colours, without_escapes
from gyoza_tui.ui.widgets.log_view.line_text import HIDDEN, show
from gyoza_tui.worker.view.control import LogLine, Stream

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def line(data: bytes, **more: int | bytes) -> LogLine:
    return LogLine(0, Stream.STDOUT, 0.0, data, **more)  # type: ignore[arg-type]


def text(data: bytes) -> str:
    return show(line(data)).text


HOSTILE = {
    "screen clear": (b"a\x1b[2J\x1b[Hb", "ab"),
    "clipboard": (b"a\x1b]52;c;Y2FuYXJ5\x07b", "ab"),
    "clipboard, 8 bits": ("a\x9d52;c;Y2FuYXJ5\x9cb".encode(), "ab"),
    "unended clipboard": (b"a\x1b]52;c;Y2FuYXJ5", "a"),
    "title": (b"\x1b]0;canary\x1b\\b", "b"),
    "link": (b"\x1b]8;;http://canary\x07here\x1b]8;;\x07", "here"),
    "sixel": (b"a\x1bPq#0;2;0;0;0#0~~@@vv\x1b\\b", "ab"),
    "tmux passthrough": (b"a\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\b", "ab"),
    "APC, PM, SOS": (b"\x1b_canary\x1b\\a\x1b^canary\x1b\\b\x1bXcanary\x1b\\c", "abc"),
    "C1 CSI": ("a\x9b2Jb\x85\x84".encode(), "ab"),
    "charset, reset, keypad": (b"\x1b(0a\x1bcb\x1b=c\x1b>", "abc"),
    "a control within a sequence": (b"a\x1b[3\x071mb", "a\u24071mb"),
    "a sequence out of two": (b"a\x1b\x1b[2J[2Jb", "a[2Jb"),
    "a lone escape": (b"a\x1b", "a"),
    "bell, backspace, NUL, DEL": (b"a\x07\x08\x00\x7f", "a\u2407\u2408\u2400\u2421"),
    "right to left": ("a\u202eb\u2066c".encode(), "a\\u202eb\\u2066c"),
    "zero width": ("a\u200bb\u200dc\ufeff".encode(), "a\\u200bb\\u200dc\\ufeff"),
    "variation": ("\u2764\ufe0f".encode(), "\u2764"),
    "no UTF-8": (b"a\xff\xc3(", "a\ufffd\ufffd("),
    "markup": (b"[/foo][bold]x[/]", "[/foo][bold]x[/]"),
}


@pytest.mark.parametrize(("data", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_acts_on_a_terminal_is_left(data: bytes, shown: str) -> None:
    assert text(data) == shown


@given(st.binary(max_size=400))
def test_no_bytes_make_a_control_character(data: bytes) -> None:
    assert not _FORBIDDEN.search(text(data.replace(b"\n", b" ")))


@given(st.text(st.sampled_from("\x1b[]P\\;m0\x07\x9b\x9d\x9cab\n\r?"), max_size=60))
def test_only_whole_colours_are_left_and_lines_are_cleaned_alike_alone_and_together(raw: str) -> None:
    left = only_colours(raw)
    assert "\x1b" not in SGR.sub("", left)
    assert not re.search("[\x80-\x9f]", left)
    assert without_escapes(raw).split("\n") == [without_escapes(each) for each in raw.split("\n")]


def test_every_character_that_formats_is_made_visible() -> None:
    hidden = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) in {"Cf", "Zl", "Zp"}]
    assert not [hex(ord(c)) for c in hidden if not HIDDEN.match(c)]


def test_colours_stay() -> None:
    shown = show(line(b"a \x1b[1;31mred\x1b[38;5;200mpink\x1b[48;2;1;2;3mon\x1b[0m plain"))
    assert shown.text == "a redpinkon plain"
    red = Style(color=Color.from_ansi(1), bold=True)
    pink = red + Style(color=Color.from_ansi(200))
    assert shown.spans == ((2, 5, red), (5, 9, pink), (9, 11, pink + Style(bgcolor=Color.from_rgb(1, 2, 3))))


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("38:2::10:20:30", Style(color=Color.from_rgb(10, 20, 30))),
        ("38:2:10:20:30", Style(color=Color.from_rgb(10, 20, 30))),
        ("48:5:99", Style(bgcolor=Color.from_ansi(99))),
        ("97;104", Style(color=Color.from_ansi(15), bgcolor=Color.from_ansi(12))),
        ("4:3", Style(underline=True)),
        ("31;39;7", Style(reverse=True)),
    ],
)
def test_colours_in_all_spellings(codes: str, style: Style) -> None:
    assert show(line(f"\x1b[{codes}mx".encode())).spans == ((0, 1, style),)


@pytest.mark.parametrize(
    "codes", ["8", "5", "6", "38", "38;5", "38;5;999", "38;2;300;0;0", "999999999", "4:0", "1;0", ""]
)
def test_what_hides_blinks_or_is_broken_styles_nothing(codes: str) -> None:
    shown = show(line(f"\x1b[{codes}mx".encode()))
    assert shown.text == "x"
    assert not [style for _, _, style in shown.spans if style]


def test_a_line_starts_without_the_colour_of_the_one_before() -> None:
    assert show(line(b"\x1b[31mred")).spans
    assert show(line(b"next")).spans == ()


def test_tabs_stop_at_every_eighth_cell() -> None:
    assert text(b"a\tb\t\tc") == "a       b               c"
    assert text("\u65e5\tb".encode()) == "\u65e5      b"
    assert text(b"abc\x1b[1mde\tf") == "abcde   f"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"windows\r", "windows"),
        (b"10%\r20%\r30%", "30%"),
        (b"10%\r20%\r", "20%"),
        (b"10%\r20%\r\x1b[K", "20%"),
        (b"10%\r\x1b[2K\x1b[32m20%\x1b[0m\r   ", "20%"),
        (b"\r\r", ""),
    ],
)
def test_of_a_line_that_was_overwritten_the_last_text_is_shown(data: bytes, shown: str) -> None:
    assert text(data) == shown


def test_of_a_long_line_the_begin_is_shown_and_how_much_is_missing() -> None:
    shown = show(line(b"x" * 8192, lacks=10 * 1024 * 1024, tail=b"x" * 8192))
    assert shown.text == "x" * 8192 + "\u2026 +10240 KiB"
    assert show(line(b"y" * 9000)).text == "y" * 8192 + "\u2026 +1 KiB"
    assert show(line("\u65e5".encode() * 5000)).text == "\u65e5" * (8192 // 3) + "\u2026 +7 KiB"


def test_of_a_long_line_that_is_overwritten_the_end_is_shown() -> None:
    shown = show(line(b"\rstep 1" * 2000, lacks=99_999, tail=b"\xa5\xa5" + b"x" * 8000 + b"\rstep 99"))
    assert shown.text == "step 99"
