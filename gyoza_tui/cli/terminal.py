"""What the verbs print: data to stdout, messages to stderr; text from outside never as markup or escape codes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any

from gyoza_tui.models.text import visible

PIPE_WIDTH = 10_000
"""Columns of a table when nobody looks at it: no line is ever wrapped for a program."""
COLUMN_MIN = 10
"""Characters to which a column of a table may be cut on a narrow terminal."""
MESSAGE_LINE = 1000
"""Characters of one line of a message; it may quote what somebody else wrote."""
_ESCAPES = re.compile(
    rb"\x1b\[[0-9;:]*m|(?P<drop>\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f])"
)


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


def hint(command: str) -> None:
    """After an action: what one may want to type next. For a person at a terminal only."""
    if sys.stderr.isatty():
        say(f"next: gyoza-tui {command}")


def out(text: str = "") -> None:
    """A line of data, on stdout."""
    print(text, flush=True)


def out_json(value: Any) -> None:
    """ASCII, so that no text from outside reaches a terminal as anything but letters."""
    out(json.dumps(value, ensure_ascii=True))


def table(headings: list[str], rows: Iterable[Iterable[tuple[str, str]]], elastic: Collection[str] = ()) -> None:
    """Columns of (text, style). Styles are for terminals only; no colour when piped or with NO_COLOR.

    On a terminal that is too narrow the `elastic` columns are cut, the others never.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout, highlight=False, markup=False, emoji=False, width=None if terminal else PIPE_WIDTH
    )
    cells = [[Text(visible(text), style) for text, style in row] for row in rows]
    columns = zip(map(Text, headings), *cells, strict=True)
    widths = [max(cell.cell_len for cell in column) for column in columns]
    gaps = 2 * (len(widths) - 1)
    _cut(widths, [i for i, heading in enumerate(headings) if heading in elastic], console.width - gaps)
    console.width = max(console.width, sum(widths) + gaps)
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for heading, width in zip(headings, widths, strict=True):
        grid.add_column(heading, no_wrap=True, overflow="ellipsis", width=width)
    for row in cells:
        grid.add_row(*row)
    with console.capture() as capture:
        console.print(grid)
    for line in capture.get().splitlines():
        out(line.rstrip())


def _cut(widths: list[int], elastic: list[int], room: int) -> None:
    """Take from the widest elastic columns until all fit, or no more can be taken."""
    while elastic and sum(widths) > room:
        widest = max(elastic, key=widths.__getitem__)
        if widths[widest] <= COLUMN_MIN:
            return
        widths[widest] -= 1


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
