"""Reading a spool, also from another process while it is written."""

from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import Resume, Stream, StreamMark
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.op_output.log_spool.lines import LINE_MAX, Cut, LogLine, RecordPlace, Walk, lines_of
from gyoza_tui.worker.op_output.log_spool.records import KIND_OF, Kind, Segment, SpoolRecord, segment_numbers
from gyoza_tui.worker.op_output.log_spool.slices import SLICE_BYTES, LineSlice, slice_of

TAIL_MARK: Final = 4096
FOLLOW_POLL_S: Final = 0.1
_RAW_BATCH: Final = MIB
_STRANGERS: Final = 256
"""Records of the other stream walked over before the next of ours is searched for: it may be millions away."""


class SpoolReader:
    """A spool, read-only. Thread-safe; sees what the writer has flushed. A spool that is not there is empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._open: dict[int, Segment] = {}

    def close(self) -> None:
        with self._lock:
            self._open.clear()

    @property
    def bytes(self) -> int:
        """Bytes ever spooled, what was cut and notes of ours included."""
        segments = self._segments()
        return _last(segments).record.end if segments else 0

    @property
    def lines(self) -> int:
        """Lines ever spooled, an unfinished last one included."""
        segments = self._segments()
        return _lines_until(_last(segments)) if segments else 0

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """What is no longer kept, in order: at most one, unless the machine lost power."""
        return tuple(cuts(self._segments()).values())

    def resume(self) -> Resume:
        """Where each stream stands, for `Backend.output`."""
        segments = self._segments()
        return {stream: _mark(segments, kind) for stream, kind in KIND_OF.items()}

    def stream_pieces(self, stream: Stream, offset: int = 0) -> Iterator[tuple[int, builtins.bytes]]:
        """(offset in the stream, bytes) from `offset` on; what was cut is left out, which the offsets show."""
        return _stream_pieces(self._segments(), KIND_OF[stream], offset)

    def stream_bytes(self, stream: Stream, offset: int = 0) -> Iterator[builtins.bytes]:
        """The bytes of one stream from `offset` on; what was cut is left out."""
        return (data for _, data in self.stream_pieces(stream, offset))

    def raw(self, offset: int = 0) -> Iterator[builtins.bytes]:
        """All bytes from `offset` on in order of arrival, each cut marked by a line of its own."""
        while True:
            pieces, offset, more = self._raw_batch(offset)
            yield from pieces
            if not more:
                return

    def tail(self, n_bytes: int) -> builtins.bytes:
        """The last `n_bytes` bytes, without what lies before a cut."""
        segments = self._segments()
        if not segments:
            return b""
        begin = max(0, _last(segments).record.end - n_bytes)
        for cut in cuts(segments).values():
            begin = max(begin, cut.offset + cut.bytes)
        return b"".join(self.raw(begin))

    def follow(self, ended: Callable[[], bool], offset: int = 0) -> Iterator[builtins.bytes]:
        """All bytes from `offset` on as they come, until `ended` says that no more will."""
        while True:
            last_round = ended()
            pieces, offset, _ = self._raw_batch(offset)
            yield from pieces
            if not pieces:
                if last_round:
                    return
                time.sleep(FOLLOW_POLL_S)

    def read_lines(self, start: int, count: int, line_max: int = LINE_MAX) -> list[LogLine]:
        """Up to `count` lines from number `start` on. A cut is one line of words, numbered as its first lost line.

        Of a line longer than `line_max` bytes only its begin and its end are read.
        """
        segments = self._segments()
        if not segments or count <= 0:
            return []
        chosen, position = _line_start(segments, start)
        lines: list[LogLine] = []
        for line in lines_of(Walk(segments, chosen, position), cuts(segments), line_max):
            if line.number + max(1, line.cut_lines) > start:
                lines.append(line)
                if len(lines) == count:
                    break
        return lines

    def slice_from(self, line: int) -> LineSlice:
        """Lines from number `line` on, for a search."""
        segments = self._segments()
        if not segments or line >= _lines_until(_last(segments)):
            return LineSlice((), None)
        return slice_of(Walk(segments, *_line_start(segments, line)), cuts(segments), line, None)

    def slice_until(self, line: int) -> LineSlice:
        """Lines before number `line`; `next_line` is the first of them, None when nothing lies before it."""
        segments = self._segments()
        line = min(line, _lines_until(_last(segments))) if segments else 0
        if line <= 0:
            return LineSlice((), None)
        known = cuts(segments)
        begin = min(_line_bytes_before(segments, line, SLICE_BYTES), line - 1)
        for cut in known.values():
            if begin in range(cut.first_line, cut.first_line + cut.lines):
                begin = cut.first_line
        found = slice_of(Walk(segments, *_line_start(segments, begin)), known, begin, line)
        return LineSlice(found.stretches, begin or None)

    def _segments(self) -> list[Segment]:
        """The segments that hold something, oldest first."""
        with self._lock:
            numbers = segment_numbers(self._path)
            for gone in self._open.keys() - set(numbers):
                del self._open[gone]
            for number in numbers:
                if number not in self._open:
                    try:
                        self._open[number] = Segment(self._path, number)
                    except FileNotFoundError:
                        continue
            return [self._open[n] for n in numbers if n in self._open and self._open[n].count()]

    def _raw_batch(self, offset: int) -> tuple[list[builtins.bytes], int, bool]:
        """Some bytes from `offset` on, where they end, and whether there may be more."""
        segments = self._segments()
        if not segments:
            return [], offset, False
        pieces: list[builtins.bytes] = []
        begin = offset
        for segment, record in Walk(segments, *_find(segments, lambda r: r.end > begin)):
            if record.start > offset:
                cut = cuts(segments)[record.start]
                cut = Cut(offset, record.start - offset, cut.first_line, cut.lines)
                pieces.append(f"\n{cut.words}\n".encode())
                offset = record.start
            pieces.append(segment.read(offset, record.end - offset))
            offset = record.end
            if offset - begin >= _RAW_BATCH:
                return pieces, offset, True
        return pieces, offset, False


def cuts(segments: list[Segment]) -> dict[int, Cut]:
    """What lies between segments, by the offset at which the log goes on."""
    found: dict[int, Cut] = {}
    offset = line = 0
    for i, segment in enumerate(segments):
        first = segment.first()
        if first.start > offset:
            found[first.start] = Cut(offset, first.start - offset, min(line, first.line), max(0, first.line - line))
        last = _last(segments[: i + 1])
        offset = last.record.end
        if i + 1 < len(segments) and segments[i + 1].first().start > offset:
            line = _lines_until(last)
    return found


def _last(segments: list[Segment]) -> RecordPlace:
    return RecordPlace(segments[-1], segments[-1].record(segments[-1].count() - 1))


def _lines_until(place: RecordPlace) -> int:
    """Lines up to the end of that record, an unfinished one included."""
    data = place.data()
    return place.record.line + data.count(b"\n") + (not data.endswith(b"\n"))


def _find(segments: list[Segment], wanted: Callable[[SpoolRecord], bool]) -> tuple[int, int]:
    """(segment, record) of the first record that is `wanted`; one behind the last when none is."""
    chosen = 0
    while chosen + 1 < len(segments) and not wanted(segments[chosen + 1].first()):
        chosen += 1
    position = segments[chosen].search(wanted)
    if position == segments[chosen].count() and chosen + 1 < len(segments):
        return chosen + 1, 0
    return chosen, position


def _step_back(segments: list[Segment], chosen: int, position: int) -> tuple[int, int]:
    if position:
        return chosen, position - 1
    return (chosen - 1, segments[chosen - 1].count() - 1) if chosen else (0, 0)


def _line_start(segments: list[Segment], start: int) -> tuple[int, int]:
    """The record in which line `start` begins."""
    chosen, position = _find(segments, lambda r: r.line >= start)
    if position < segments[chosen].count():
        record = segments[chosen].record(position)
        if record.line == start and not record.continues:
            return chosen, position
    return _step_back(segments, chosen, position)


def _line_bytes_before(segments: list[Segment], line: int, size: int) -> int:
    """The number of the first line that begins less than about `size` bytes before line `line`."""
    chosen, position = _line_start(segments, line)
    begin = segments[chosen].record(position).start - size
    chosen, position = _find(segments, lambda record: record.end > begin)
    record = segments[chosen].record(position)
    return record.line + record.continues


def _stream_size(segments: list[Segment], kind: Kind) -> int:
    if not segments:
        return 0
    last = _last(segments).record
    return last.before(kind) + (last.length if last.kind is kind else 0)


def _holding(segments: list[Segment], kind: Kind, offset: int) -> tuple[int, int]:
    """The record that holds byte `offset` of a stream, or behind which it was cut."""
    return _step_back(segments, *_find(segments, lambda record: record.before(kind) > offset))


def _stream_places(segments: list[Segment], kind: Kind, offset: int) -> Iterator[RecordPlace]:
    """The records of one stream from the one that holds its byte `offset` on."""
    size = _stream_size(segments, kind)
    while offset < size:
        strangers = 0
        for place in Walk(segments, *_holding(segments, kind, offset)):
            record = place.record
            offset = max(offset, record.before(kind))
            if record.kind is kind:
                yield place
                offset, strangers = max(offset, record.before(kind) + record.length), 0
            else:
                strangers += 1
            if offset >= size or strangers > _STRANGERS:
                break
        else:
            return


def _stream_pieces(segments: list[Segment], kind: Kind, offset: int) -> Iterator[tuple[int, bytes]]:
    for segment, record in _stream_places(segments, kind, offset):
        skip = max(0, offset - record.before(kind))
        if skip < record.length:
            yield record.before(kind) + skip, segment.read(record.start + skip, record.length - skip)


def _mark(segments: list[Segment], kind: Kind) -> StreamMark:
    size = _stream_size(segments, kind)
    if not size:
        return StreamMark()
    first = next(_stream_places(segments, kind, 0), None)
    last = next(_stream_places(segments, kind, size - 1), first)
    tail, end = b"", 0
    for offset, data in _stream_pieces(segments, kind, max(0, size - TAIL_MARK)):
        # Only what lies without a gap before the end may be compared with what the engine sends again.
        tail, end = (tail if offset == end else b"") + data, offset + len(data)
    if end != size:
        tail = b""
    return StreamMark(size, tail, first.record.at if first else None, last.record.at if last else None)
