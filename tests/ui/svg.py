"""A terminal's picture as Rich writes it, read again."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Callable
from typing import Final

from rich.cells import cell_len

CELL: Final = 12.2
"""Width of a cell in the picture."""
NO_BREAK_SPACE: Final = "\xa0"
"""What stands for each space."""
TEXT: Final = re.compile(
    r'<text class="(?P<style>[^"]*-r\d+)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="[\d.]+" '
    r'clip-path="url\(#(?P<clip>[^)]*-line-(?P<line>\d+))\)">(?P<text>[^<]*)</text>'
)


def rows(svg: str) -> list[str]:
    """The characters of each line of the terminal, blank ends left out."""
    lines: dict[int, str] = {}
    for found in TEXT.finditer(svg):
        line, begin = int(found["line"]), round(float(found["x"]) / CELL)
        before = lines.get(line, "")
        lines[line] = before + " " * (begin - cell_len(before)) + _plain(found["text"])
    return [lines.get(line, "").rstrip() for line in range(max(lines, default=-1) + 1)]


def with_texts(svg: str, change: Callable[[str], str]) -> str:
    """Each piece of text as `change` makes it, which gets and gives plain characters."""

    def changed(match: re.Match[str]) -> str:
        text = change(_plain(match[1]))
        return f">{html.escape(text).replace(' ', '&#160;')}</text>"

    return re.sub(r">([^<]*)</text>", changed, svg)


def _plain(text: str) -> str:
    return html.unescape(text).replace(NO_BREAK_SPACE, " ")


def difference(kept: str, shown: str) -> str:
    """What a person reads: lines that differ, or that it is their colours; empty when nothing does."""
    if shown == kept:
        return ""
    lines = list(difflib.unified_diff(rows(kept), rows(shown), "kept", "shown", lineterm="", n=1))
    return "\n".join(lines) if lines else "every character is the same: it is colours or styles that differ"
