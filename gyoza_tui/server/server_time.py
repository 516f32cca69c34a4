"""The server's time. What it decides by never jumps; what it shows is UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from gyoza_tui.models.clock import Clock

Micros: TypeAlias = int
"""Microseconds since 1970, UTC: how every time is stored."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICRO
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICRO


def to_micros(moment: datetime) -> Micros:
    """Of the first or last moment that can be told, for one beyond it: year 1 somewhere may be year 0 in UTC."""
    return min(max((moment - _EPOCH) // _MICRO, _FIRST), _LAST)


def to_utc(micros: Micros) -> datetime:
    return _EPOCH + micros * _MICRO


class ServerTime:
    """`boot` for durations within this process; `due` for deadlines that must outlive it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = to_micros(clock.utc()) - int(clock.boot() * 1e6)

    def boot(self) -> float:
        """Seconds of boot time."""
        return self._clock.boot()

    def shown(self) -> Micros:
        """The wall clock, for people."""
        return to_micros(self._clock.utc())

    def due(self) -> Micros:
        """Runs with boot time from the wall clock at the start: setting the wall clock moves no deadline."""
        return int(self._clock.boot() * 1e6) + self._offset
