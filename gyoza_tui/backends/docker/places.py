"""Places in one stream of the engine's log, and the ways to find them again."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from gyoza_tui.backends.base import StreamMark
from gyoza_tui.backends.docker.log_source import NS

_FIRST_SLACK_NS: Final = 2 * NS
"""The engine stamps a line a moment before or after the spool read it."""


class LogPlace(NamedTuple):
    """Behind `at` bytes of what is stamped `stamp` (UTC nanoseconds)."""

    stamp: int = 0
    at: int = 0


BEGINNING: Final = LogPlace()


class Skipper(Protocol):
    """Takes every message of one stream in order and says which part of each is new."""

    lost: str | None
    """Words, set when output is found missing at this point; whoever reports it clears it."""

    @property
    def flowing(self) -> bool:
        """Whether all that follows is new."""

    def new_part(self, stamp: int, data: bytes) -> bytes: ...


class AfterPlace:
    """All that is behind a place that some reading has seen."""

    def __init__(self, place: LogPlace) -> None:
        self.lost: str | None = None
        self._place = place
        self._seen = 0
        self._flowing = place == BEGINNING

    @property
    def flowing(self) -> bool:
        return self._flowing

    @property
    def found(self) -> bool:
        """Whether the place itself was there, and not only something later."""
        return self._seen == self._place.at

    def new_part(self, stamp: int, data: bytes) -> bytes:
        if self._flowing:
            return data
        if stamp < self._place.stamp:
            return b""
        if stamp > self._place.stamp:
            self._flowing = True
            return data
        skipped = min(len(data), self._place.at - self._seen)
        self._seen += skipped
        self._flowing = self._seen == self._place.at
        return data[skipped:]


class Behind:
    """All that is behind `given` bytes after a checkpoint, which must lead to `place`: else a follow has skipped."""

    def __init__(self, checkpoint: LogPlace, given: int, place: LogPlace) -> None:
        self.lost: str | None = None
        self._start = AfterPlace(checkpoint)
        self._left = given
        self._place = place
        self._rest: AfterPlace | None = None

    @property
    def flowing(self) -> bool:
        return self._rest.flowing if self._rest else self._start.flowing and not self._left

    def new_part(self, stamp: int, data: bytes) -> bytes:
        if self._rest:
            return self._rest.new_part(stamp, data)
        part = self._start.new_part(stamp, data)
        if not self._start.flowing:
            return b""
        if not self._start.found or (self._left and stamp > self._place.stamp):
            return self._skipped(stamp, data)
        if not self._left:
            return part
        taken = min(len(part), self._left)
        self._left -= taken
        if not self._left and stamp != self._place.stamp:
            return self._skipped(stamp, data)
        return part[taken:]

    def _skipped(self, stamp: int, data: bytes) -> bytes:
        self.lost = "some output came faster than the engine keeps it and is missing here"
        self._rest = AfterPlace(self._place)
        return self._rest.new_part(stamp, data)


class FromSpool:
    """All that is behind the spool's byte count, from the log's beginning on; `astray` when that proves wrong."""

    def __init__(self, mark: StreamMark) -> None:
        self.lost: str | None = None
        self._mark = mark
        self._left = mark.size
        self._tail = bytearray()
        self._started = False
        self.astray = False

    @property
    def flowing(self) -> bool:
        return not self._left and not self.astray

    @property
    def owes_newline(self) -> bool:
        """Whether the log is shorter by the newline of a long line, which shows only once something follows it."""
        return self._left == 1 and self._mark.tail == bytes(self._tail[1 - len(self._mark.tail) :]) + b"\n"

    def new_part(self, stamp: int, data: bytes) -> bytes:
        if not self._started:
            self._started = True
            first = self._mark.first_at
            self.astray = self._left > 0 and first is not None and stamp > first * NS + _FIRST_SLACK_NS
        if self.astray:
            return b""
        if not self._left:
            return data
        taken = min(len(data), self._left)
        if self._left - taken <= len(self._mark.tail):
            self._tail += data[:taken]
        self._left -= taken
        if not self._left and not self._tail.endswith(self._mark.tail):
            self.astray = True
            return b""
        return data[taken:]


class TailSearch:
    """Where the spool ends in a log whose beginning is gone: by the spool's last bytes, next to its last moment."""

    def __init__(self, mark: StreamMark) -> None:
        self._tail = mark.tail
        self._last = None if mark.last_at is None else int(mark.last_at * NS)
        self._carry = b""
        self._stamp = 0
        self._at = 0
        self._found: LogPlace | None = None
        self._by_time = BEGINNING

    def take(self, stamp: int, data: bytes) -> None:
        if stamp != self._stamp:
            self._stamp, self._at = stamp, 0
        if self._last is not None and stamp <= self._last:
            self._by_time = LogPlace(stamp, self._at + len(data))
        window = self._carry + data
        position = window.rfind(self._tail) if self._tail else -1
        if position >= 0 and self._fits(stamp):
            end = position + len(self._tail) - len(self._carry)
            self._found = LogPlace(stamp, self._at + end)
        self._carry = window[-(len(self._tail) - 1) :] if len(self._tail) > 1 else b""
        self._at += len(data)

    @property
    def place(self) -> LogPlace:
        return self._found or self._by_time

    @property
    def words(self) -> str | None:
        """What to tell of it; None when the place is exact."""
        if self._found:
            return None
        if self._by_time == BEGINNING:
            return "the engine had already dropped the output that came next: it is missing here"
        return "where the engine's log goes on is known by time only: some output may be missing or repeated here"

    def _fits(self, stamp: int) -> bool:
        """The same bytes may come again later: the last time before the spool's end, else the first one after it."""
        if self._last is None or stamp <= self._last:
            return True
        return self._found is None and stamp <= self._last + _FIRST_SLACK_NS
