"""What is shown of a line: harmless text and its colours."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Final

from rich.cells import cell_len
from rich.style import Style

from gyoza_tui.models.ansi import SGR, only_colours
from gyoza_tui.models.limits import KIB
from gyoza_tui.ui.widgets.log_view import sgr
from gyoza_tui.worker.view.control import LogLine, Stream, is_progress

LINE_MAX: Final = 8 * KIB
"""Bytes that are shown of a line."""
_TAB: Final = 8
HIDDEN: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""Control characters but the tab, and format characters: those that turn the text round, hide or join."""
_VARIANTS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""They change a width, on some terminals only."""


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as the screen shows it."""

    source: LogLine
    text: str
    """No control character, no escape sequence, no tab."""
    spans: tuple[tuple[int, int, Style], ...] = field(default=(), compare=False)
    reports: bool = False
    """Whether it only tells the worker how far the op is, which the run list shows."""

    @property
    def numbers(self) -> int:
        """How many line numbers it stands for."""
        return max(1, self.source.cut_lines)


def show(line: LogLine, limit: int = LINE_MAX) -> ShownLine:
    """At most `limit` bytes of it: its first ones, or, where it was overwritten with `\\r`, what came last."""
    data, missing = line.data, line.lacks + max(0, len(line.data) - limit)
    if not missing:
        text = data.decode(errors="replace")
    elif b"\r" in data or b"\r" in line.tail:
        text, missing = _decoded(_from_a_character((line.tail or data)[-limit:])), 0
    else:
        text = _decoded(data[:limit])
    text, spans = _coloured(_last_written(only_colours(text)))
    if missing:
        text += f"… +{-(-missing // KIB)} KiB"
    return ShownLine(line, text, spans, line.stream is Stream.STDOUT and is_progress(line.data))


def _from_a_character(data: bytes) -> bytes:
    """Without the half of a character that a cut has left at its begin."""
    return data[next((i for i in range(min(4, len(data))) if data[i] & 0xC0 != 0x80), 0) :]


def _decoded(data: bytes) -> str:
    """Without the half of a character that a cut has left at its end."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data)


def _last_written(text: str) -> str:
    """What a progress bar left on the line."""
    if "\r" not in text:
        return text
    return next((part for part in reversed(text.split("\r")) if SGR.sub("", part).strip()), "")


def _coloured(text: str) -> tuple[str, tuple[tuple[int, int, Style], ...]]:
    if "\x1b" not in text:
        return _harmless(text, 0), ()
    parts, spans = [], []
    pen, position, column = sgr.PLAIN, 0, 0
    for i, part in enumerate(SGR.split(text)):
        if i % 2:
            pen = sgr.after(pen, part)
        elif part:
            fit = _harmless(part, column)
            if pen != sgr.PLAIN:
                spans.append((position, position + len(fit), sgr.style(pen)))
            parts.append(fit)
            position += len(fit)
            column += cell_len(fit)
    return "".join(parts), tuple(spans)


def _harmless(text: str, column: int) -> str:
    if text.isprintable() and text.isascii():
        return text
    text = _VARIANTS.sub("", HIDDEN.sub(_picture, text))
    if "\t" not in text:
        return text
    done, *rest = text.split("\t")
    for part in rest:
        done += " " * (_TAB - (column + cell_len(done)) % _TAB) + part
    return done


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
