"""gyoza events in an op's stdout: the lines of it, and what an event line is.

A line that is one JSON object with `type` INFO, PROGRESS or ERROR and `msg` is an event; every other line is log. An
op's lines can never change a state (PROTOCOL.md, 5).
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NamedTuple

from gyoza_tui.models.limits import EVENT_MAX, KIB
from gyoza_tui.models.states import OP_EVENTS, EventType
from gyoza_tui.models.values import check_json, json_size

LINE_MAX: Final = 64 * KIB
"""A longer line is log, whatever it holds."""
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


class Lines(NamedTuple):
    """Whole lines of stdout: `data[begin:end]`."""

    data: bytes
    begin: int
    end: int
    offset: int
    """The offset in stdout of `data[begin]`."""

    def line_at(self, place: int) -> tuple[int, int]:
        """Where in `data` the line around a place begins and ends."""
        begin = self.data.rfind(b"\n", self.begin, place) + 1 or self.begin
        end = self.data.find(b"\n", place, self.end) + 1 or self.end
        return begin, end

    def event(self, begin: int, end: int) -> OpEvent | None:
        """The event that one of them is; None when it is log."""
        if end - begin > LINE_MAX + 1:
            return None
        return parse_event(self.data[begin:end], self.offset + end - self.begin)


class EventLines:
    """Cuts a stdout that comes in pieces of any size into whole lines. Not thread-safe."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        """Bytes of stdout given back as lines: the end of the last complete line. Feed from here after a restart."""
        self._kept = bytearray()
        """The beginning of the unfinished line, while it can still become an event."""
        self._pending = 0
        """Bytes of the unfinished line."""

    def feed(self, data: bytes) -> list[Lines]:
        """The lines that the bytes complete, in order; an unfinished line that is too long or no event is left out."""
        found: list[Lines] = []
        first = data.find(b"\n") + 1
        if not first:
            self._keep(data)
            return found
        begin = 0
        if self._pending:
            self._keep(data[:first])
            found += self.finish()
            begin = first
        last = data.rfind(b"\n") + 1
        if last > begin:
            found.append(Lines(data, begin, last, self.offset))
            self.offset += last - begin
        self._keep(data[last:])
        return found

    def skip(self, offset: int) -> None:
        """Go on at `offset` of stdout, after bytes that are lost; a line cut in two by that is log."""
        self.offset, self._pending = offset, 0
        self._kept.clear()

    def finish(self) -> list[Lines]:
        """End the line that is unfinished, as at the end of the stream."""
        line, offset = bytes(self._kept), self.offset
        self.skip(offset + self._pending)
        return [Lines(line, 0, len(line), offset)] if line else []

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        fits = self._pending + len(data) <= LINE_MAX + 1
        if fits and (self._kept or (not self._pending and data.startswith(b"{"))):
            self._kept += data
        else:
            self._kept.clear()
        self._pending += len(data)


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
