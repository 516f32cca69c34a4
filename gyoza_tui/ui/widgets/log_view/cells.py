"""Text in cells of a terminal. What is given here is made by `line_text.py`: nothing in it changes another's width."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rich.cells import get_character_cell_size


@lru_cache(maxsize=1024)
def row_starts(text: str, width: int) -> tuple[int, ...]:
    """Where each row of at most `width` cells begins when `text` is wrapped; one row at least."""
    if text.isascii():
        return tuple(range(0, len(text), width)) or (0,)
    starts, used = [0], 0
    for i, character in enumerate(text):
        size = get_character_cell_size(character)
        if used + size > width and used:
            starts.append(i)
            used = 0
        used += size
    return tuple(starts)


def character_at(text: str, start: int, cell: int) -> int:
    """The character that is `cell` cells behind character `start`, or the text's end."""
    if text.isascii():
        return min(start + cell, len(text))
    for i in range(start, len(text)):
        cell -= get_character_cell_size(text[i])
        if cell < 0:
            return i
    return len(text)


class Cutout(NamedTuple):
    """What of a text lies in a window of cells."""

    start: int
    end: int
    blank: int
    """Cells before it that only half a wide character would fill."""


def cutout(text: str, first: int, width: int) -> Cutout:
    """The characters wholly within `width` cells from cell `first` on."""
    if text.isascii():
        return Cutout(min(first, len(text)), min(first + width, len(text)), 0)
    start: int | None = None
    cell = blank = 0
    for i, character in enumerate(text):
        size = get_character_cell_size(character)
        if start is None and cell >= first and (size or not cell):
            start, blank = i, cell - first
        if cell + size > first + width:
            return Cutout(i if start is None else start, i, blank)
        cell += size
    return Cutout(len(text) if start is None else start, len(text), blank)
