"""Text for terminals that know letters only: every character replaced, no column moved."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from gyoza_tui.ui.tty.ascii import as_ascii


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[1mplain\x1b[0m", "\x1b[1mplain\x1b[0m"),
        ("── Runs  2 active ──", "-- Runs  2 active --"),
        ("╭─╮│┼║", "+-+|+|"),
        ("▁▂▃▄▅▆▇█░", "_.-=+*%#."),
        ("►◌✗✓ 71° +2 µs…", ">ox+ 71o +2 us~"),
        ("naïve café", "naive cafe"),
        ("餃子!", "????!"),
        ("\uff21b", "A b"),
        ("e\u0301a", "ea"),
        ("🔎 find", "/  find"),
        ("a\x7f\x85b", "ab"),
        ("\ud800", "?"),
        ("☃", "?"),
    ],
)
def test_each_glyph_has_a_plain_one(text: str, plain: str) -> None:
    assert as_ascii(text) == plain


@pytest.mark.parametrize("text", ["餃子 🥟🔎", "👩\u200d💻 x", "1\ufe0f\u20e3", "e\u0301\u0302", "→☃✔\ufe0f", "ㅎ한글"])
def test_no_column_moves(text: str) -> None:
    plain = as_ascii(text)
    assert plain.isascii()
    assert len(plain) == cell_len(text)
