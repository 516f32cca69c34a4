"""Escape sequences in text from outside: colours may stay, nothing else may reach a terminal."""

from __future__ import annotations

import re
from typing import Final

SGR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
"""What sets colours and the like; its group holds the parameters."""

# None of them crosses a line's end: whoever cleans many lines at once cleans each of them as it would be alone.
_SEQUENCE: Final = (
    r"(?:\x1b\]|\x9d)[^\x07\x18\x1a\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x18\x1a\x1b\x9c\n]*(?:\x1b\\|\x9c)?"  # DCS with sixel, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[ -/]*[0-~]?"  # any other
    r"|[\x80-\x9f]"
)
_EVERY: Final = re.compile(_SEQUENCE)
_BUT_SGR: Final = re.compile(rf"(?!{SGR.pattern})(?:{_SEQUENCE})")
_SUSPECT: Final = re.compile(r"[\x1b\x80-\x9f]")


def without_escapes(text: str) -> str:
    """`text` without any escape sequence, its payload, or C1 control; other control characters stay."""
    return _EVERY.sub("", text) if _SUSPECT.search(text) else text


def only_colours(text: str) -> str:
    """`text` with no escape sequence but SGR, which stays as it is."""
    return _BUT_SGR.sub("", text) if _SUSPECT.search(text) else text
