"""Any text for a terminal as characters up to 0x7e, each as wide as before."""

# ruff: noqa: RUF001
from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from rich.cells import split_graphemes

_BEYOND: Final = re.compile(r"[\x20-\x7e]?[^\x00-\x7e]+")
"""With the letter before it, which may be the first of a grapheme."""
_LOOK_ALIKE: Final = {
    **dict.fromkeys("━═", "="),
    **dict.fromkeys("─╌╍┄┅┈┉╴╶╸╺╼╾–—‐‑‒―−⎯▔", "-"),
    **dict.fromkeys("│┃║╎╏┆┇┊┋╵╷╹╻╽╿▏▎▍▕⎸⎹", "|"),
    **dict(zip("▁▂▃▄▅▆▇█", "_.-=+*%#", strict=True)),
    **dict.fromkeys("▉▊▋▌▐▙▛▜▟■▪◼◾", "#"),
    **dict.fromkeys("░·∙⋅‧", "."),
    **dict.fromkeys("▒", ":"),
    **dict.fromkeys("▓", "%"),
    **dict.fromkeys("▀▘▝▚▞▖▗", '"'),
    **dict.fromkeys("►▶▸▹→⇒❯›»⏵", ">"),
    **dict.fromkeys("◄◀◂◃←⇐❮‹«⏴", "<"),
    **dict.fromkeys("▲△▴▵↑⇑⏶⌃", "^"),
    **dict.fromkeys("▼▽▾▿↓⇓⏷⌄", "v"),
    **dict.fromkeys("●◉•⬤★☆✱✻✶", "*"),
    **dict.fromkeys("○◌◯□▫◇◦°", "o"),
    **dict.fromkeys("✓✔√", "+"),
    **dict.fromkeys("✗✘✕✖×╳", "x"),
    **dict.fromkeys("⚠‼", "!"),
    **dict.fromkeys("‘’‛′`", "'"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("↵⏎↩", "<"),
    "╱": "/",
    "╲": "\\",
    "…": "~",
    "⋯": "~",
    "µ": "u",
    **dict.fromkeys("🔎🔍", "/"),
}


def as_ascii(text: str) -> str:
    """`text` with every character beyond 0x7e replaced; escape sequences have none."""
    return text if text.isascii() and "\x7f" not in text else _BEYOND.sub(_run, text)


def _run(match: re.Match[str]) -> str:
    run = match[0]
    spans, _width = split_graphemes(run)
    return "".join(_grapheme(run[begin:end], width) for begin, end, width in spans)


@lru_cache(4096)
def _grapheme(grapheme: str, width: int) -> str:
    if grapheme.isascii() and grapheme != "\x7f":
        return grapheme
    letter = _letter(grapheme[0])
    return "?" * width if letter == "?" else letter[:width].ljust(width)


def _letter(character: str) -> str:
    if (alike := _LOOK_ALIKE.get(character)) is not None:
        return alike
    if "\u2500" <= character <= "\u257f":
        return "+"
    if "\u2400" <= character <= "\u2426":  # pictures of control characters
        return "^"
    if "\u2800" < character <= "\u28ff":  # dots of a spinner
        return ":"
    base = unicodedata.normalize("NFKD", character)[0]
    return base if "\x20" <= base <= "\x7e" else "?"
