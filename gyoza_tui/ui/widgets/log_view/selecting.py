"""Text selected with the mouse: places are (character of the line, line number)."""

from __future__ import annotations

import re
from typing import Final

from textual.geometry import Offset
from textual.selection import Selection

from gyoza_tui.ui.widgets.log_view.layout import Order

_WORD: Final = re.compile(r"[\w./:@%+-]+")


def word_at(text: str, character: int, number: int) -> Selection | None:
    """The word, path or number there."""
    for found in _WORD.finditer(text):
        if found.start() <= character < found.end():
            return Selection(Offset(found.start(), number), Offset(found.end(), number))
    return None


def line_at(text: str, number: int) -> Selection:
    return Selection(Offset(0, number), Offset(len(text), number))


def selected(selection: Selection, order: Order, first: int, last: int) -> str:
    """The text as shown, of those lines at hand; an open end reaches to the first or last line on the screen."""
    begin = selection.start or Offset(0, first)
    end = selection.end
    number: int | None = begin.y
    parts: list[str] = []
    while number is not None and number <= (end.y if end else last):
        if (line := order.get(number)) is not None:
            text = line.text[: max(0, end.x)] if end and number == end.y else line.text
            parts.append(text[max(0, begin.x) :] if number == begin.y else text)
        number = order.after(number)
    return "\n".join(parts)
