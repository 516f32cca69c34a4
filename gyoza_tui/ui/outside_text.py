"""Text from outside (ops, images, hosts, errors) as one harmless line: no markup, no control character, no surprise.

Its width is what a terminal makes of it: combining marks are few, and what changes its neighbour's width is out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, get_character_cell_size
from textual.content import Content

from gyoza_tui.models.ansi import without_escapes
from gyoza_tui.models.text import visible

ELLIPSIS: Final = "…"
_READ_MAX: Final = 4096
"""Characters looked at; no screen shows more in a line."""
_VARIANTS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MARKS_MAX: Final = 2


def one_line(text: str, cells: int | None = None) -> Content:
    """`text` for a screen, cut to `cells` with an ellipsis. The result has no style of its own."""
    return Content(plain_line(text) if cells is None else cut(plain_line(text), cells))


@lru_cache(maxsize=2048)
def plain_line(text: str) -> str:
    """`text` for a screen, as a string."""
    text = text[:_READ_MAX]
    if text.isascii() and text.isprintable():
        return text
    return _few_marks(_VARIANTS.sub("", visible(without_escapes(text).strip("\r\n"))))


@lru_cache(maxsize=2048)
def cut(text: str, cells: int) -> str:
    """At most `cells` wide, with an ellipsis where something is missing; `text` is a plain line."""
    if cell_len(text) <= cells:
        return text
    if cells <= 0:
        return ""
    used, end = 0, 0
    for end, character in enumerate(text):  # noqa: B007
        used += get_character_cell_size(character)
        if used > cells - 1:
            break
    return text[:end] + ELLIPSIS


def fitted(text: str, cells: int) -> str:
    """Exactly `cells` wide: cut, or filled with blanks; `text` is a plain line."""
    text = cut(text, cells)
    return text + " " * (cells - cell_len(text))


def _few_marks(text: str) -> str:
    """At most two marks on a character, none on nothing."""
    kept, marks = [], _MARKS_MAX
    for character in text:
        marks = 0 if get_character_cell_size(character) else marks + 1
        if marks <= _MARKS_MAX:
            kept.append(character)
    return "".join(kept)
