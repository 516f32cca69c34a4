"""Lines out of a spool's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from gyoza_tui.backends.base import Stream
from gyoza_tui.worker.log_spool.records import STREAM_OF, Record, Segment

LINE_MAX: Final = 256 * 1024
"""Bytes of one line that `read_lines` gives; the rest is in the file."""


@dataclass(frozen=True, slots=True)
class LogLine:
    number: int
    """From 0, in order of arrival over both streams, what was cut included."""
    stream: Stream | None
    """None: words of ours, about a cut or lost output."""
    at: float
    """UTC seconds at which its first bytes were read."""
    data: bytes
    """Without its newline."""
    partial: bool = False
    """Not the whole line: not ended yet, ended by the other stream, cut, or longer than LINE_MAX."""
    cut_lines: int = 0
    """How many lines this one stands for, when it marks a cut."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Output that is no longer kept."""

    offset: int
    """Where it begins, in bytes of all output."""
    bytes: int
    first_line: int
    lines: int
    """Lines of which nothing is kept."""

    @property
    def words(self) -> str:
        return f"[gyoza-tui: {self.bytes} bytes in {self.lines} lines cut here]"


class Place(NamedTuple):
    segment: Segment
    record: Record

    def data(self) -> bytes:
        return self.segment.read(self.record.start, self.record.length)


class _Unfinished:
    """The line being put together."""

    def __init__(self, record: Record, *, whole: bool) -> None:
        self.number = record.line
        self._stream = STREAM_OF[record.kind]
        self._at = record.at
        self._parts: list[bytes] = []
        self._size = 0
        self._whole = whole

    def add(self, data: bytes) -> None:
        room = LINE_MAX - self._size
        if len(data) > room:
            data, self._whole = data[: max(0, room)], False
        if data:
            self._parts.append(data)
            self._size += len(data)

    def line(self, *, ended: bool) -> LogLine:
        return LogLine(self.number, self._stream, self._at, b"".join(self._parts), not (ended and self._whole))


def lines_of(records: Iterator[Place], cuts: Mapping[int, Cut]) -> Iterator[LogLine]:
    """The lines of consecutive records; `cuts` by the offset at which the log goes on behind them.

    The first one may be the rest of a line, which the caller skips by its number.
    """
    open_line: _Unfinished | None = None
    for place in records:
        record = place.record
        cut = cuts.get(record.start)
        if open_line is not None and (cut or not record.continues):
            yield open_line.line(ended=False)
            open_line = None
        if cut:
            yield LogLine(cut.first_line, None, record.at, cut.words.encode(), True, cut.lines)
        *ended, rest = place.data().split(b"\n")
        number = record.line
        if ended:
            first = open_line or _Unfinished(record, whole=not record.continues)
            first.add(ended[0])
            yield first.line(ended=True)
            open_line = None
            stream, at = STREAM_OF[record.kind], record.at
            for data in ended[1:]:
                number += 1
                yield LogLine(number, stream, at, data)
            number += 1
        if rest:
            if open_line is None:
                open_line = _Unfinished(record._replace(line=number), whole=bool(ended) or not record.continues)
            open_line.add(rest)
    if open_line is not None:
        yield open_line.line(ended=False)
