"""Lines out of a spool's records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gyoza_tui.backends.base import Stream
from gyoza_tui.models.limits import KIB
from gyoza_tui.worker.op_output.log_spool.records import STREAM_OF, Segment, SpoolRecord

LINE_MAX: Final = 256 * KIB
"""Bytes of one line that `read_lines` gives unless told otherwise; the rest is in the file."""
TAIL_MAX: Final = 8 * KIB
"""Bytes of `LogLine.tail`."""


class LogLine(NamedTuple):
    """A line of the log, or a note of ours in it."""

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
    lacks: int = 0
    """How many bytes longer the line is than `data`, when it is longer than what was asked for of a line."""
    tail: bytes = b""
    """Its last bytes then, TAIL_MAX at most."""


class Cut(NamedTuple):
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


class RecordPlace(NamedTuple):
    segment: Segment
    record: SpoolRecord

    def data(self) -> bytes:
        return self.segment.read(self.record.start, self.record.length)


class Walk:
    """All records from one on, in order, as an iterator."""

    def __init__(self, segments: list[Segment], chosen: int, position: int) -> None:
        self._segments = segments
        self._chosen = chosen
        self._records = segments[chosen].records(position)

    def __iter__(self) -> Walk:
        return self

    def __next__(self) -> RecordPlace:
        while True:
            for record in self._records:
                return RecordPlace(self._segments[self._chosen], record)
            if self._chosen + 1 == len(self._segments):
                raise StopIteration
            self._chosen += 1
            self._records = self._segments[self._chosen].records(0)

    def skip(self, place: RecordPlace, number: int) -> None:
        """Go on, behind that record, with the last TAIL_MAX bytes or more of line `number`.

        Within a segment only, so never over a cut.
        """
        segment, here = place
        last = segment.record(segment.search(lambda record: record.line > number) - 1)
        if last.start - TAIL_MAX > here.end:
            self._records = segment.records(segment.search(lambda record: record.end > last.start - TAIL_MAX))


class _Unfinished:
    """The line being put together."""

    def __init__(self, record: SpoolRecord, line_max: int, *, whole: bool) -> None:
        self.number = record.line
        self._stream = STREAM_OF[record.kind]
        self._at = record.at
        self._max = line_max
        self._parts: list[bytes] = []
        self._size = 0
        self._lacks = 0
        self._tail = b""
        self._whole = whole

    @property
    def full(self) -> bool:
        return self._lacks > 0

    def add(self, data: bytes) -> None:
        room = self._max - self._size
        if len(data) > room:
            self._tail = ((self._tail if self.full else b"".join(self._parts)) + data)[-TAIL_MAX:]
            self.skipped(len(data) - room)
            data = data[:room]
        if data:
            self._parts.append(data)
            self._size += len(data)

    def skipped(self, size: int) -> None:
        self._lacks += size

    def line(self, *, ended: bool) -> LogLine:
        whole = ended and self._whole and not self.full
        data = b"".join(self._parts)
        return LogLine(self.number, self._stream, self._at, data, not whole, 0, self._lacks, self._tail)


def lines_of(records: Walk, cuts: Mapping[int, Cut], line_max: int = LINE_MAX) -> Iterator[LogLine]:
    """The lines of consecutive records; `cuts` by the offset at which the log goes on behind them.

    The first one may be the rest of a line, which the caller skips by its number.
    """
    open_line: _Unfinished | None = None
    end = 0
    for place in records:
        record = place.record
        cut = cuts.get(record.start)
        if open_line is not None and (cut or not record.continues):
            yield open_line.line(ended=False)
            open_line = None
        if open_line is not None and record.start > end:
            open_line.skipped(record.start - end)
        end = record.end
        if cut:
            yield LogLine(cut.first_line, None, record.at, cut.words.encode(), True, cut.lines)
        *ended, rest = place.data().split(b"\n")
        number = record.line
        if ended:
            first = open_line or _Unfinished(record, line_max, whole=not record.continues)
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
                whole = bool(ended) or not record.continues
                open_line = _Unfinished(record._replace(line=number), line_max, whole=whole)
            open_line.add(rest)
            if open_line.full:
                records.skip(place, number)
    if open_line is not None:
        yield open_line.line(ended=False)
