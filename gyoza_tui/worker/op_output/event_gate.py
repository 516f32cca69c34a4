"""The gate that keeps a flood of an op's events from the journal, and from the time of the worker.

What is over the budget is dropped by its bytes, before it is parsed: the end of a run must not wait for a flood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.limits import EVENTS_PER_ATTEMPT_MAX
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.op_output.event_lines import Lines, OpEvent

BURST: Final = 100
PER_SECOND: Final = 10
PROGRESS_S: Final = 1.0
_LOOKS_MAX: Final = 500
"""Lines with the word of an event that are looked at in one piece of output; the rest is over the budget."""
_PROGRESS_LOOKS_MAX: Final = 8
_NOTES: Final = (b'"INFO"', b'"ERROR"')
_IS_NOTE: Final = re.compile(rb'"type"[ \t]*:[ \t]*"(?:INFO|ERROR)"')
_PROGRESS: Final = b'"PROGRESS"'
_IS_PROGRESS: Final = re.compile(rb'"type"[ \t]*:[ \t]*"PROGRESS"')
_MSG: Final = b'"msg"'
_AS_WRITTEN: Final = (b'"type":"INFO"', b'"type": "INFO"', b'"type":"ERROR"', b'"type": "ERROR"')
"""How programs write it: what is dropped is counted by that."""


class EventGate:
    """Lets through what a journal and a server can bear of one attempt's events. Not thread-safe.

    PROGRESS: the latest value, at most once a second, without a budget, because a server keeps the last ones only. INFO
    and ERROR: a burst of 100, then 10 a second, all together at most what a server stores of one attempt. A line that
    only looks like one counts too.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = float(BURST)
        self._filled_at = clock.boot()
        self._progress_at: float | None = None
        self._held: OpEvent | None = None
        self._size = 0
        self.dropped = 0
        """Events not let through. A PROGRESS that a later one replaced is none of them."""

    def offer(self, lines: Lines) -> list[OpEvent]:
        """What may go out now of the events in these lines, in order."""
        passed: list[OpEvent] = []
        done = lines.begin
        for looks, (begin, end) in enumerate(_lines_with_notes(lines)):
            is_note = _looks_like(_IS_NOTE, lines, begin, end)
            if looks >= _LOOKS_MAX or (is_note and not self._token()):
                self.dropped += _written(lines, begin)
                break
            event = lines.event(begin, end) if is_note else None
            if event is None or event.type is EventType.PROGRESS:
                continue
            passed += self._progress(lines, done, begin)
            done = end
            if self._fits(event):
                passed.append(event)
            else:
                self.dropped += 1
        return passed + self._progress(lines, done, lines.end)

    def due(self) -> list[OpEvent]:
        """The held PROGRESS, once its time has come; to be called every now and then."""
        now = self._clock.boot()
        if self._held is None or (self._progress_at is not None and now - self._progress_at < PROGRESS_S):
            return []
        self._progress_at = now
        return self.finish()

    def finish(self) -> list[OpEvent]:
        """The op has ended: the held PROGRESS, whatever its time."""
        held, self._held = self._held, None
        return [] if held is None else [held]

    @property
    def holds(self) -> bool:
        """Whether a PROGRESS waits for its time: an offset journaled now would lose it in a crash."""
        return self._held is not None

    def _progress(self, lines: Lines, begin: int, end: int) -> list[OpEvent]:
        """Hold the last PROGRESS of a part of the lines; it may be due."""
        at = end
        for _ in range(_PROGRESS_LOOKS_MAX):
            at = lines.data.rfind(_PROGRESS, begin, at)
            if at < 0:
                break
            first, last = lines.line_at(at)
            event = lines.event(first, last) if _looks_like(_IS_PROGRESS, lines, first, last) else None
            if event is not None and event.type is EventType.PROGRESS:
                self._held = event
                break
            at = first
        return self.due()

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


def _lines_with_notes(lines: Lines) -> Iterator[tuple[int, int]]:
    """Where the lines are that hold the word of an INFO or an ERROR, in order."""
    places = [lines.data.find(word, lines.begin, lines.end) for word in _NOTES]
    while (found := [place for place in places if place >= 0]) and (place := min(found)) >= 0:
        begin, end = lines.line_at(place)
        yield begin, end
        places = [
            lines.data.find(word, end, lines.end) if 0 <= place < end else place
            for word, place in zip(_NOTES, places, strict=True)
        ]


def _looks_like(kind: re.Pattern[bytes], lines: Lines, begin: int, end: int) -> bool:
    """Whether a line is an event by its bytes."""
    data = lines.data
    return data.startswith(b"{", begin) and data.find(_MSG, begin, end) > 0 and bool(kind.search(data, begin, end))


def _written(lines: Lines, begin: int) -> int:
    """How many INFO and ERROR there are from a place on."""
    types = sum(lines.data.count(form, begin, lines.end) for form in _AS_WRITTEN)
    return min(types, lines.data.count(_MSG, begin, lines.end))
