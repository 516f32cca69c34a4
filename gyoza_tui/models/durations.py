"""Durations as a person types them: `90s`, `10m`, `1h30m`, `2d`."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Final

_UNITS: Final = {"w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER: Final = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_WITH_UNITS: Final = re.compile(r"(?=[0-9])" + "".join(rf"(?:{_NUMBER}\s*{unit}\s*)?" for unit in _UNITS))


def seconds(text: str) -> float:
    """A number without a unit is of seconds. Raises ValueError."""
    with suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    if (found := with_units(text)) is None:
        raise ValueError(f"{text[:40]!a} is no duration: write it as 90s, 10m, 1h30m or 2d")
    return found


def with_units(text: str) -> float | None:
    """Seconds; None where it is no duration, or a number without a unit."""
    match = _WITH_UNITS.fullmatch(text.strip().lower())
    if match is None:
        return None
    return sum(float(number or 0) * unit for number, unit in zip(match.groups(), _UNITS.values(), strict=True))
