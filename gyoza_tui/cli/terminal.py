"""What the verbs print: data to stdout, messages to stderr; text from outside never as markup or escape codes."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO, TypeAlias

from gyoza_tui.models.ansi import only_colours, settled
from gyoza_tui.models.limits import KIB
from gyoza_tui.models.text import visible

Row: TypeAlias = Iterable[tuple[str, str]]
"""Of a table: text and its rich style, for each column."""
PIPE_WIDTH = 10_000
"""Columns of a table when nobody looks at it: no line is ever wrapped for a program."""
GAP = 2
"""Between two columns."""
COLUMN_MIN = 10
"""Characters to which a column of a table may be cut on a narrow terminal."""
MESSAGE_LINE = 1000
"""Characters of one line of a message; it may quote what somebody else wrote."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
"""But for the escapes: they are gone where no colour begins with them."""
_HELD_MAX = 64 * KIB
"""Characters of an escape sequence without an end that are waited for."""


def visible_lines(text: str) -> str:
    """`text` over as many lines as it has, each made visible."""
    return "\n".join(visible(line) for line in text.replace("\r\n", "\n").split("\n"))


def for_terminal(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """An op's output with its colours, and without every other escape sequence and control character.

    What is at the end of a piece and may go on in the next one is held back until then.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""
    for piece in pieces:
        held += decoder.decode(piece)
        ready = settled(held)
        if len(held) - ready > _HELD_MAX:
            ready = len(held)
        yield _harmless(held[:ready])
        held = held[ready:]
    yield _harmless(held + decoder.decode(b"", final=True))


def _harmless(text: str) -> bytes:
    return _CONTROLS.sub("", only_colours(text)).encode()


def say(text: str) -> None:
    """A message to the person, on stderr."""
    lines = (
        line if len(line) <= MESSAGE_LINE else line[: MESSAGE_LINE - 1] + "…"
        for line in visible_lines(text).split("\n")
    )
    try:
        print("\n".join(lines), file=sys.stderr, flush=True)
    except OSError:  # a terminal that is gone, a full disk: nobody can be told, and what goes on goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def agreed(question: str, *, by_enter: bool = False) -> bool:
    """Whether the person at the terminal says yes; stdout is left to data. `by_enter`: Enter alone says it."""
    print(f"{visible(question)} [{'Y/n' if by_enter else 'y/N'}] ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    return line.strip().lower() in ("y", "yes") or (by_enter and line.isspace())


def ring() -> None:
    """Ring the bell of the terminal, if there is one. Not through sys.stderr, which a progress bar may have taken."""
    terminals = [descriptor for descriptor in (2, 1) if os.isatty(descriptor)]
    if terminals:
        with contextlib.suppress(OSError):
            os.write(terminals[0], b"\a")


def hint(command: str, why: str = "next") -> None:
    """After an action: what one may want to type next. For a person at a terminal only."""
    if sys.stderr.isatty():
        say(f"{why}: gyoza-tui {command}")


def out(text: str = "") -> None:
    """A line of data, on stdout."""
    print(text, flush=True)


def out_if_read(text: str) -> None:
    """The same of what is done in any case: where nobody reads on, as behind `head`, it goes on untold."""
    try:
        out(text)
    except BrokenPipeError:
        out_no_more()


def out_no_more() -> None:
    """Whatever is still to be printed goes nowhere, also what is kept back until the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def out_json(value: Any) -> None:
    """ASCII, so that no text from outside reaches a terminal as anything but letters."""
    out(json_line(value))


def json_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


def table(
    headings: list[str], rows: Iterable[Row], elastic: Collection[str] = (), expendable: Sequence[str] = ()
) -> None:
    """On stdout; see `table_lines`."""
    for line in table_lines(headings, rows, elastic, expendable):
        out(line)


def table_lines(
    headings: list[str],
    rows: Iterable[Row],
    elastic: Collection[str] = (),
    expendable: Sequence[str] = (),
    stream: TextIO | None = None,
    widths_before: dict[str, int] | None = None,
) -> list[str]:
    """Columns as they are to be written to `stream`, by default stdout. No colour where that is no terminal, or with
    NO_COLOR.

    On a terminal that is too narrow the `elastic` columns are cut; where that is not enough the `expendable` ones are
    left out, the first of them first. No other column is ever cut. A table that goes on below has columns at least as
    wide as `widths_before`, which is brought up to date.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = stream or sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    console = Console(file=stream, highlight=False, markup=False, emoji=False, width=width)
    cells = [[Text(visible(text), style) for text, style in row] for row in rows]
    columns = dict(zip(headings, zip(*cells, strict=True), strict=True)) if cells else dict.fromkeys(headings, ())
    least = {} if widths_before is None else widths_before
    sizes = {
        heading: max(cell_len(heading), least.get(heading, 0), *(c.cell_len for c in column))
        for heading, column in columns.items()
    }
    least.update(sizes)
    widths = _fitting(sizes, elastic, expendable, console.width)
    console.width = max(console.width, _wide(widths))
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for heading, columns_wide in widths.items():
        grid.add_column(Text(heading), no_wrap=True, overflow="ellipsis", width=columns_wide)
    for row in zip(*(columns[heading] for heading in widths), strict=True):
        grid.add_row(*row)
    with console.capture() as capture:
        console.print(grid)
    return [line.rstrip() for line in capture.get().splitlines()]


def _fitting(sizes: dict[str, int], elastic: Collection[str], expendable: Sequence[str], room: int) -> dict[str, int]:
    """The columns that are shown, and how wide."""
    left_out = 0
    while True:
        widths = {heading: size for heading, size in sizes.items() if heading not in expendable[:left_out]}
        _cut(widths, [heading for heading in widths if heading in elastic], room)
        if _wide(widths) <= room or left_out == len(expendable):
            return widths
        left_out += 1


def _wide(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _cut(widths: dict[str, int], elastic: list[str], room: int) -> None:
    """Take from the widest elastic columns until all fit, or no more can be taken."""
    left = room - _wide(widths) + sum(widths[heading] for heading in elastic)
    narrowest_first = sorted(elastic, key=widths.__getitem__)
    for sharing, heading in zip(range(len(elastic), 0, -1), narrowest_first, strict=True):
        widths[heading] = min(widths[heading], max(COLUMN_MIN, left // sharing))
        left -= widths[heading]


def duration(seconds: float) -> str:
    """`3.2s`, `4m10s`, `2h05m`, `3d04h`."""
    if seconds < 60:
        return f"{max(0.0, seconds):.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02}m"
    return f"{hours // 24}d{hours % 24:02}h"


class Times(NamedTuple):
    """How moments are told: how long ago, or exactly and in UTC. `-` when unknown."""

    utc: bool = False

    def told(self, when: datetime | None) -> str:
        if when is None:
            return "-"
        return _exact(when) if self.utc else duration((datetime.now(UTC) - when).total_seconds())

    def ago(self, when: datetime | None) -> str:
        """The same within a sentence: `4m10s ago`."""
        return self.told(when) + ("" if self.utc or when is None else " ago")

    def after(self, begin: datetime | None, when: datetime) -> str:
        """Within a timeline that begins at `begin`: `+3.2s`."""
        return _exact(when) if self.utc else f"+{duration((when - (begin or when)).total_seconds())}"


def _exact(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def brief(value: Any, limit: int = 60) -> str:
    """A value as JSON, cut to `limit` characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
