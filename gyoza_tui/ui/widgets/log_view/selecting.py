"""Text selected with the mouse: places are (character of the line, line number)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from textual.geometry import Offset
from textual.selection import Selection

from gyoza_tui.ui.widgets.log_view.layout import Order
from gyoza_tui.ui.widgets.log_view.line_text import ShownLine
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.window import in_runs
from gyoza_tui.worker.view.control import LogLine

LINES_MAX: Final = 20_000
TEXT_MAX: Final = 1_000_000
"""Of a selection, in characters; who wants more wants the file."""
_PAGE: Final = 1000
_WORD: Final = re.compile(r"[\w./:@%+-]+")


class TooMuch(Exception):
    """`str()` says how much there may be."""


def word_at(text: str, character: int, number: int) -> Selection | None:
    """The word, path or number there."""
    for found in _WORD.finditer(text):
        if found.start() <= character < found.end():
            return Selection(Offset(found.start(), number), Offset(found.end(), number))
    return None


def line_at(text: str, number: int) -> Selection:
    return Selection(Offset(0, number), Offset(len(text), number))


def between(here: Offset, there: Offset) -> Selection:
    """Both characters included, whichever comes first."""
    first, last = sorted((here, there), key=lambda place: place.transpose)
    return Selection(first, last + Offset(1, 0))


def numbers(selection: Selection, order: Order) -> list[int]:
    """Of its lines, in order. Raises TooMuch."""
    found = list(islice(_numbers(selection, order), LINES_MAX + 1))
    if len(found) > LINES_MAX:
        raise TooMuch(f"more than {LINES_MAX:,} lines are selected")
    return found


def _numbers(selection: Selection, order: Order) -> Iterator[int]:
    begin, end = _ends(selection)
    number: int | None = begin.y
    while number is not None and number <= end.y:
        yield number
        number = order.after(number)


def read(selection: Selection, wanted: Sequence[int], source: LogReader, show: Callable[[LogLine], ShownLine]) -> str:
    """The text of those lines as it is shown. Blocks. Raises TooMuch, ControlError, KeyError."""
    begin, end = _ends(selection)
    parts: list[str] = []
    size = 0
    last = -1
    for run in in_runs(wanted):
        for start in range(run.start, run.stop, _PAGE):
            for line in source.lines(start, min(_PAGE, run.stop - start)).lines:
                if not last < line.number <= end.y:  # more was cut meanwhile: the answer begins behind that
                    continue
                last = line.number
                text = show(line).text
                text = text[: end.x] if line.number == end.y else text
                parts.append(text[begin.x :] if line.number == begin.y else text)
                size += len(parts[-1]) + 1
                if size > TEXT_MAX:
                    raise TooMuch(f"more than {TEXT_MAX:,} characters are selected")
    return "\n".join(parts)


def _ends(selection: Selection) -> tuple[Offset, Offset]:
    """What is selected here has both."""
    assert selection.start is not None
    assert selection.end is not None
    return selection.start, selection.end
