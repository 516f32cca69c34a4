"""Writing the segments of a spool: capped, and exact after a crash at any byte.

Bytes are written before the records that tell of them, so whatever a crash leaves is mended at the next open by
cutting both files of a segment back to what both know; the backend sends the rest again from `resume` on.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from gyoza_tui.worker.op_output.log_spool.records import (
    RECORD_BYTES,
    RECORD_SIZE,
    Kind,
    Segment,
    SpoolRecord,
    index_name,
    log_name,
    segment_numbers,
)

_RECORD_S: Final = 0.1
"""Chunks of a stream that came within this share a record and its time."""
_TAIL_SEGMENTS: Final = 8
_RECORDS_MIN: Final = 16


class SegmentWriter:
    """Where the next byte goes, and what it will be called. Not thread-safe."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._head_max = max(1, max_bytes // 2)
        self._tail_max = max(1, (max_bytes - self._head_max) // _TAIL_SEGMENTS)
        self._parts: list[bytes] = []
        self._records: list[SpoolRecord] = []
        self._log = self._index = -1
        mend(path)
        self._recall()

    def take(self, chunks: list[tuple[Kind, float, bytes]]) -> None:
        """Write chunks of (kind, UTC seconds, bytes), those of one stream and moment together."""
        kind, at, _ = chunks[0]
        parts: list[bytes] = []
        size = 0
        for next_kind, next_at, data in chunks:
            if parts and (next_kind is not kind or size + len(data) > RECORD_BYTES or abs(next_at - at) > _RECORD_S):
                self._split(kind, at, b"".join(parts))
                parts, size = [], 0
            if not parts:
                kind, at = next_kind, next_at
            parts.append(data)
            size += len(data)
        self._split(kind, at, b"".join(parts))
        self._write()

    @property
    def written(self) -> int:
        """Bytes ever taken, as far as readers can see them."""
        return self._written

    def close(self) -> None:
        if self._log >= 0:
            os.close(self._log)
            os.close(self._index)
            self._log = self._index = -1

    def _recall(self) -> None:
        """Take up the counts where the last record left them."""
        self._end = self._line = self._out = self._err = 0
        self._unfinished: Kind | None = None
        self._base = self._count = self._number = 0
        numbers = segment_numbers(self._path)
        if numbers:
            segment = Segment(self._path, numbers[-1])
            self._number, self._base, self._count = numbers[-1], segment.first().start, segment.count()
            last = segment.record(self._count - 1)
            self._end, self._line, self._out, self._err = last.start, last.line, last.out, last.err
            self._advance(last.kind, segment.read(last.start, last.length))
        self._written = self._end
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._log = os.open(self._path / log_name(self._number), flags, 0o600)
        self._index = os.open(self._path / index_name(self._number), flags, 0o600)

    def _split(self, kind: Kind, at: float, data: bytes) -> None:
        """Make records of `data`; a segment ends with a whole line where one ends in the last piece that fits."""
        while data:
            room = self._room()
            part = data[: min(room, RECORD_BYTES)]
            full = len(part) == room and len(data) > room
            newline = part.rfind(b"\n") + 1
            if full and newline:
                part = part[:newline]
            elif full and self._unfinished is not kind and self._end > self._base:
                part = b""
            if part:
                self._record(kind, at, part)
                data = data[len(part) :]
            if full:
                self._rotate()

    def _room(self) -> int:
        """Bytes that the segment still takes. Many small records fill it too: the index is capped like the bytes."""
        limit = self._tail_max if self._number else self._head_max
        if self._count + len(self._records) >= max(_RECORDS_MIN, limit // 4 // RECORD_SIZE):
            return 0
        return limit - (self._end - self._base)

    def _record(self, kind: Kind, at: float, data: bytes) -> None:
        continues = self._unfinished is kind
        if self._unfinished is not None and not continues:
            self._line += 1
        self._records.append(SpoolRecord(self._end, self._line, self._out, self._err, at, len(data), kind, continues))
        self._parts.append(data)
        self._advance(kind, data)

    def _advance(self, kind: Kind, data: bytes) -> None:
        self._end += len(data)
        self._out += len(data) if kind is Kind.STDOUT else 0
        self._err += len(data) if kind is Kind.STDERR else 0
        self._line += data.count(b"\n")
        self._unfinished = None if data.endswith(b"\n") else kind

    def _rotate(self) -> None:
        """Begin the next segment, and delete the oldest of the tail when there are too many."""
        self._write()
        self.close()
        self._number += 1
        self._base, self._count = self._end, 0
        tail = [number for number in segment_numbers(self._path) if number]
        for number in tail[: max(0, len(tail) - _TAIL_SEGMENTS + 1)]:
            # The index first: without one the segment is nobody's, and the next open deletes the rest.
            (self._path / index_name(number)).unlink(missing_ok=True)
            (self._path / log_name(number)).unlink(missing_ok=True)
        self._open()

    def _write(self) -> None:
        if not self._records:
            return
        parts, records, self._parts, self._records = self._parts, self._records, [], []
        try:
            _write_all(self._log, b"".join(parts))
            _write_all(self._index, b"".join(record.pack() for record in records))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._index, self._count * RECORD_SIZE)
                os.ftruncate(self._log, records[0].start - self._base)
            raise
        self._count += len(records)
        self._written = records[-1].end


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def mend(path: Path) -> None:
    """Cut both files of each segment back to what both of them know, and to what is not damaged."""
    numbers = segment_numbers(path)
    for log in path.glob("*.log"):
        if log.stem.isdigit() and int(log.stem) not in numbers:
            _drop(log)
    for number in numbers:
        if not _mended(path, number):
            _drop(path / index_name(number))
            _drop(path / log_name(number))


def _mended(path: Path, number: int) -> bool:
    """Whether something of the segment is left."""
    log, index = path / log_name(number), path / index_name(number)
    if not (log.is_file() and index.is_file() and log.stat().st_size):
        return False
    segment = Segment(path, number)
    sound = segment.sound()
    if not sound or (number == 0 and segment.first().start):
        return False
    os.truncate(index, sound * RECORD_SIZE)
    end = segment.first().start + log.stat().st_size
    keep = segment.search(lambda record: record.start >= end)
    last = segment.record(keep - 1)
    if last.end > end:
        last = last._replace(length=end - last.start)
        with index.open("r+b") as file:
            file.seek((keep - 1) * RECORD_SIZE)
            file.write(last.pack())
    os.truncate(index, keep * RECORD_SIZE)
    os.truncate(log, last.end - segment.first().start)
    return True


def _drop(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
