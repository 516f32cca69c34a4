"""What the verbs print: data to stdout, messages to stderr; text from outside never as markup or escape codes."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

PIPE_WIDTH = 10_000
"""Columns of a table when nobody looks at it: no line is ever wrapped for a program."""
MESSAGE_LINE = 1000
"""Characters of one line of a message; it may quote what somebody else wrote."""
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_ESCAPES = re.compile(
    rb"\x1b\[[0-9;:]*m|(?P<drop>\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f])"
)


def visible(text: object) -> str:
    """`text` on one line, with control, bidi and other hidden characters made visible."""
    return "".join(_shown(c) if unicodedata.category(c) in _HIDDEN else c for c in str(text))


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"


def visible_lines(text: str) -> str:
    """`text` over as many lines as it has, each made visible."""
    return "\n".join(visible(line) for line in text.replace("\r\n", "\n").split("\n"))


def for_terminal(data: bytes) -> bytes:
    """An op's bytes with their colours, and without every other escape sequence and control character."""
    return _ESCAPES.sub(lambda match: b"" if match["drop"] is not None else match[0], data)


def say(text: str) -> None:
    """A message to the person, on stderr."""
    lines = (
        line if len(line) <= MESSAGE_LINE else line[: MESSAGE_LINE - 1] + "…"
        for line in visible_lines(text).split("\n")
    )
    print("\n".join(lines), file=sys.stderr, flush=True)


def out(text: str = "") -> None:
    """A line of data, on stdout."""
    print(text, flush=True)


def out_json(value: Any) -> None:
    """ASCII, so that no text from outside reaches a terminal as anything but letters."""
    out(json.dumps(value, ensure_ascii=True))


def table(headings: Iterable[str], rows: Iterable[Iterable[tuple[str, str]]]) -> None:
    """Columns of (text, style). Styles are for terminals only; no colour when piped or with NO_COLOR."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        grid.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(*(Text(visible(text), style) for text, style in row))
    terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout, highlight=False, markup=False, emoji=False, width=None if terminal else PIPE_WIDTH
    )
    with console.capture() as capture:
        console.print(grid)
    for line in capture.get().splitlines():
        out(line.rstrip())


def duration(seconds: float) -> str:
    """`3.2s`, `4m10s`, `2h05m`."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def moment(when: datetime | None) -> str:
    """Local time to the second; `-` when unknown."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when else "-"


def age(when: datetime | None) -> str:
    return duration((datetime.now(UTC) - when).total_seconds()) if when else "-"


def brief(value: Any, limit: int = 60) -> str:
    """A value as JSON, cut to `limit` characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
