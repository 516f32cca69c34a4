"""Escape sequences in text from outside: colours may stay, nothing else may reach a terminal."""

from __future__ import annotations

import re
from typing import Final

SGR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
"""What sets colours and the like; its group holds the parameters."""

# None of them crosses a line's end: whoever cleans many lines at once cleans each of them as it would be alone.
_OSC: Final = r"[^\x07\x18\x1a\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
_STRING: Final = r"[^\x18\x1a\x1b\x9c\n]*(?:\x1b\\|\x9c)?"
"""Of DCS (with sixel), SOS, PM and APC."""
_CSI: Final = r"[0-?]*[ -/]*[@-~]?"
_AFTER_ESCAPE: Final = rf"(?:\]{_OSC}|[PX^_]{_STRING}|\[{_CSI}|[ -/]*[0-~]?)"
_EIGHT_BITS: Final = rf"\x9d{_OSC}|[\x90\x98\x9e\x9f]{_STRING}|\x9b{_CSI}|[\x80-\x9f]"
_COLOUR: Final = r"\[[0-9;:]*m"
_C1: Final = re.compile(r"[\x80-\x9f]")
# With a letter that it must begin with a pattern is found several times faster: C1 is rare enough for one of its own.
_EVERY: Final = re.compile(rf"\x1b{_AFTER_ESCAPE}")
_EVERY_C1: Final = re.compile(rf"(?=[\x1b\x80-\x9f])(?:\x1b{_AFTER_ESCAPE}|{_EIGHT_BITS})")
_OTHER: Final = re.compile(rf"\x1b(?!{_COLOUR}){_AFTER_ESCAPE}")
_OTHER_C1: Final = re.compile(rf"(?=[\x1b\x80-\x9f])(?:\x1b(?!{_COLOUR}){_AFTER_ESCAPE}|{_EIGHT_BITS})")


def without_escapes(text: str) -> str:
    """`text` without any escape sequence, its payload, or C1 control; other control characters stay."""
    return _cleaned(text, _EVERY, _EVERY_C1)


def only_colours(text: str) -> str:
    """`text` with no escape sequence but SGR, which stays as it is."""
    return _cleaned(text, _OTHER, _OTHER_C1)


def settled(text: str) -> int:
    """How many of its characters mean the same whatever comes behind them: all but an escape sequence at its end."""
    for sequence in _EVERY_C1.finditer(text, text.rfind("\n") + 1):
        if sequence.end() == len(text):
            return sequence.start()
    return len(text)


def _cleaned(text: str, sequence: re.Pattern[str], with_c1: re.Pattern[str]) -> str:
    if not text.isascii() and _C1.search(text):
        return with_c1.sub("", text)
    return sequence.sub("", text) if "\x1b" in text else text
