"""Sizes in words, and as a person types them: `512` (MiB), `512m`, `4g`."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from gyoza_tui.models.limits import KIB, MIB

_MEGABYTES: Final = {"m": 1, "g": 1024}
_WITH_UNIT: Final = re.compile(r"([0-9]{1,9})\s*([mg])")


def megabytes(text: str) -> int:
    """MiB; a number without a unit is of them. Raises ValueError."""
    with suppress(ValueError):
        return int(text)
    if (match := _WITH_UNIT.fullmatch(text.strip().lower())) is None:
        raise ValueError(f"{text[:40]!a} is no size: write it in MiB as 512, or as 512m or 4g")
    return int(match[1]) * _MEGABYTES[match[2]]


def in_words(size: int) -> str:
    """`16 MiB`, `4 KiB`, `1000 bytes`: a limit, exactly."""
    for unit, word in ((MIB, "MiB"), (KIB, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit} {word}"
    return f"{size} bytes"
