"""Numbers in few cells. Unknown is `?`, never 0."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

UNKNOWN: Final = "?"
NOT_APPLICABLE: Final = "\N{EN DASH}"
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_UNITS: Final = "MGTP"


def duration(seconds: float | None) -> str:
    """`0:07`, `3:10`, `3h10m`, `2d03h`."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02}"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def took(seconds: float | None) -> str:
    """For what may take an instant: `0.2s`, `14s`, and from a minute on as `duration`."""
    if seconds is None or seconds >= _MINUTE:
        return duration(seconds)
    return f"{max(0.0, seconds):.1f}s" if seconds < 10 else f"{int(seconds)}s"


def size(mb: float | None) -> str:
    """Three digits or less and a unit: `512M`, `1.5G`, `412G`, `1.2T`."""
    return UNKNOWN if mb is None else _in_unit(mb, _unit(mb)) + _UNITS[_unit(mb)]


def part_of(mb: float | None, total_mb: float | None) -> str:
    """`61/80G`, `412/900M`; the unit is the total's."""
    if total_mb is None:
        return f"{size(mb)}/{UNKNOWN}"
    unit = _unit(total_mb)
    return f"{UNKNOWN if mb is None else _in_unit(mb, unit)}/{_in_unit(total_mb, unit)}{_UNITS[unit]}"


def percent(value: float | None) -> str:
    """Four cells: ` 42%`, `100%`, `   ?`. Only what is done is 100 %."""
    return f"{UNKNOWN:>4}" if value is None else f"{max(0, min(100, int(value))):>3}%"


def clock(utc: float | datetime, zone: tzinfo | None) -> str:
    """`02:14` in that zone; None: the machine's."""
    moment = utc if isinstance(utc, datetime) else datetime.fromtimestamp(utc, UTC)
    return moment.astimezone(zone).strftime("%H:%M")


def moment(utc: float, now: float, zone: tzinfo | None) -> str:
    """As `clock`, with the day where it is not today's."""
    then = datetime.fromtimestamp(utc, UTC).astimezone(zone)
    same_day = then.date() == datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    return then.strftime("%H:%M" if same_day else "%d %b %H:%M")


def _unit(mb: float) -> int:
    unit = 0
    while mb >= 1000 and unit < len(_UNITS) - 1:
        mb /= 1024
        unit += 1
    return unit


def _in_unit(mb: float, unit: int) -> str:
    value = mb / 1024**unit
    return f"{value:.1f}".removesuffix(".0") if unit and value < 9.95 else f"{value:.0f}"
