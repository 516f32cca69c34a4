"""gyoza events out of an op's stdout, and the gate that keeps a flood of them from the journal.

A line that is one JSON object with `type` INFO, PROGRESS or ERROR and `msg` is an event; every other line is log. An
op's lines can never change a state (PROTOCOL.md, 5).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import EVENT_MAX, EVENTS_PER_ATTEMPT_MAX, KIB
from gyoza_tui.models.states import OP_EVENTS, EventType
from gyoza_tui.models.values import check_json, json_size

LINE_MAX: Final = 64 * KIB
"""A longer line is log, whatever it holds."""
BURST: Final = 100
PER_SECOND: Final = 10
PROGRESS_S: Final = 1.0
_OP_EVENT: Final[dict[str, EventType]] = {kind.value: kind for kind in OP_EVENTS}


class OpEvent(NamedTuple):
    type: EventType
    msg: str | float
    """0 to 100 for PROGRESS."""
    payload: dict[str, Any] | None = None
    end: int = 0
    """The offset in stdout behind its line."""
    size: int = 0
    """Bytes of `msg` and `payload` as JSON."""


class EventLines:
    """Finds the events in a stdout that comes in pieces of any size. Not thread-safe."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        """Bytes of stdout fully parsed: the end of the last complete line. Feed from here after a restart."""
        self._kept = bytearray()
        """The beginning of the unfinished line, while it can still become an event."""
        self._pending = 0
        """Bytes of the unfinished line."""

    def feed(self, data: bytes) -> list[OpEvent]:
        """The events that the bytes complete, in order."""
        events: list[OpEvent] = []
        first = data.find(b"\n") + 1
        if not first:
            self._keep(data)
            return events
        begin = 0
        if self._pending:
            self._keep(data[:first])
            self._end_line(bytes(self._kept), self.offset + self._pending, events)
            begin = first
        last = data.rfind(b"\n") + 1
        self._whole_lines(data, begin, last, events)
        self.offset += last - begin
        self._keep(data[last:])
        return events

    def skip(self, offset: int) -> None:
        """Go on at `offset` of stdout, which lies behind bytes that are lost; a line cut in two by that is log."""
        self.offset, self._pending = offset, 0
        self._kept.clear()

    def finish(self) -> list[OpEvent]:
        """The stream has ended: what is left is a line too."""
        events: list[OpEvent] = []
        if self._pending:
            self._end_line(bytes(self._kept), self.offset + self._pending, events)
        return events

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        fits = self._pending + len(data) <= LINE_MAX + 1
        if fits and (self._kept or (not self._pending and data.startswith(b"{"))):
            self._kept += data
        else:
            self._kept.clear()
        self._pending += len(data)

    def _end_line(self, line: bytes, end: int, events: list[OpEvent]) -> None:
        if line and (event := parse_event(line, end)):
            events.append(event)
        self.skip(end)

    def _whole_lines(self, data: bytes, begin: int, last: int, events: list[OpEvent]) -> None:
        """Lines between two line ends. Only those that begin with a brace cost Python anything."""
        base = self.offset - begin
        at = begin if data.startswith(b"{", begin) else data.find(b"\n{", begin, last) + 1
        while begin <= at < last and (at or data.startswith(b"{")):
            end = data.find(b"\n", at) + 1
            if not end or end > last:
                return
            if end - at <= LINE_MAX + 1 and (event := parse_event(data[at:end], base + end)):
                events.append(event)
            at = end if data.startswith(b"{", end) else data.find(b"\n{", end - 1, last) + 1
            if not at:
                return


def parse_event(line: bytes, end: int = 0) -> OpEvent | None:
    """The event that one line is; None when it is log."""
    if b'"type"' not in line or b'"msg"' not in line:
        return None
    try:
        found = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    kind = _OP_EVENT.get(found["type"]) if isinstance(found, dict) and isinstance(found.get("type"), str) else None
    if kind is None:
        return None
    try:
        msg, payload = _storable(found.get("msg")), _storable(found.get("payload"))
        size = json_size([msg, payload])
    except (ValueError, RecursionError):
        return None
    if size > EVENT_MAX or not _fits(kind, msg) or not (payload is None or isinstance(payload, dict)):
        return None
    return OpEvent(kind, msg, payload, end, size)


def is_progress(line: bytes) -> bool:
    """Whether it says no more than how far the op is."""
    event = parse_event(line) if line.startswith(b"{") else None
    return event is not None and event.type is EventType.PROGRESS


def _fits(kind: EventType, msg: Any) -> bool:
    if isinstance(msg, bool) or not isinstance(msg, str | int | float):
        return False
    if kind is EventType.PROGRESS:
        return isinstance(msg, int | float) and 0 <= msg <= 100
    return True


def _storable(value: Any) -> Any:
    """The value with infinities (1e999) as null and lone surrogates replaced; BadValue for what cannot be stored."""
    mended = _mend(value, 0)
    check_json(mended)
    return mended


def _mend(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_mend(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_text(key): _mend(item, depth + 1) for key, item in value.items()}
    return value


def _text(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text


class EventGate:
    """Lets through what a journal and a server can bear of one attempt's events. Not thread-safe.

    PROGRESS: the latest value, at most once a second. INFO and ERROR: a burst of 100, then 10 a second. All together
    at most what a server stores of one attempt.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = float(BURST)
        self._filled_at = clock.boot()
        self._progress_at: float | None = None
        self._held: OpEvent | None = None
        self._behind = False
        self._size = 0
        self.dropped = 0
        """Events not let through. A PROGRESS that a later one replaced is none of them."""

    def offer(self, events: Iterable[OpEvent]) -> list[OpEvent]:
        """What may go out now, in order."""
        passed: list[OpEvent] = []
        for event in events:
            if event.type is EventType.PROGRESS:
                self._held, self._behind = event, False
                passed += self.due()
            elif self._token() and self._fits(event):
                passed.append(event)
                self._behind = self._held is not None
            else:
                self.dropped += 1
        return passed

    def due(self) -> list[OpEvent]:
        """The held PROGRESS, once its second is over; to be called every now and then."""
        now = self._clock.boot()
        if self._held is None or (self._progress_at is not None and now - self._progress_at < PROGRESS_S):
            return []
        self._progress_at = now
        return self.finish()

    def finish(self) -> list[OpEvent]:
        """The op has ended: the held PROGRESS, whatever its second."""
        held, self._held = self._held, None
        if held is None:
            return []
        if self._fits(held):
            return [held]
        self.dropped += 1
        return []

    @property
    def holds(self) -> bool:
        """Whether a PROGRESS waits for its second: an offset journaled now would lose it in a crash."""
        return self._held is not None

    def _token(self) -> bool:
        now = self._clock.boot()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled_at) * PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fits(self, event: OpEvent) -> bool:
        if self._size + event.size > EVENTS_PER_ATTEMPT_MAX:
            return False
        self._size += event.size
        return True
