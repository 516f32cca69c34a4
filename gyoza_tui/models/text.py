"""Text from outside, made fit to be shown."""

from __future__ import annotations

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(text: object) -> str:
    """`text` on one line, with control, bidi and other hidden characters made visible."""
    return "".join(_shown(c) if unicodedata.category(c) in _HIDDEN else c for c in str(text))


def _shown(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
