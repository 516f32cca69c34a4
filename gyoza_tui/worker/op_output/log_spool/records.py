"""The index record of a spool, and the two files of a segment."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from gyoza_tui.backends.base import Stream
from gyoza_tui.models.limits import KIB

_FORMAT: Final = struct.Struct("<QQQQdIB3x")
RECORD_SIZE: Final = _FORMAT.size
RECORD_BYTES: Final = 64 * KIB
"""What one record covers at most: a look-up reads no more than that."""
_CONTINUES: Final = 0x80
_BATCH: Final = 1024
"""Records read at a time when many are walked through."""


class Kind(IntEnum):
    STDOUT = 0
    STDERR = 1
    NOTE = 2
    """Words of ours in the log; counted in neither stream."""


_KINDS: Final = frozenset(Kind)
KIND_OF: Final = {Stream.STDOUT: Kind.STDOUT, Stream.STDERR: Kind.STDERR}
STREAM_OF: Final[dict[Kind, Stream | None]] = {
    Kind.STDOUT: Stream.STDOUT,
    Kind.STDERR: Stream.STDERR,
    Kind.NOTE: None,
}


class SpoolRecord(NamedTuple):
    """A run of bytes of one stream that came at (nearly) the same time."""

    start: int
    """Offset of its first byte in all that was ever spooled, what was cut included."""
    line: int
    """Number, from 0, of the line in which its first byte lies."""
    out: int
    """Bytes of stdout before it."""
    err: int
    """Bytes of stderr before it."""
    at: float
    """UTC seconds."""
    length: int
    kind: Kind
    continues: bool
    """Its first byte goes on with a line that the record before it began."""

    @property
    def end(self) -> int:
        return self.start + self.length

    def before(self, kind: Kind) -> int:
        """Bytes of that stream before this record."""
        return self.err if kind is Kind.STDERR else self.out

    def pack(self) -> bytes:
        flags = self.kind | (_CONTINUES if self.continues else 0)
        return _FORMAT.pack(self.start, self.line, self.out, self.err, self.at, self.length, flags)


def unpack(raw: bytes) -> SpoolRecord:
    """Raises OSError for what was never a record."""
    start, line, out, err, at, length, flags = _FORMAT.unpack(raw)
    if not 0 < length <= RECORD_BYTES or flags & 0x7F not in _KINDS:
        raise OSError(errno.EUCLEAN, "the index of the log is damaged")
    return SpoolRecord(start, line, out, err, at, length, Kind(flags & 0x7F), bool(flags & _CONTINUES))


def log_name(number: int) -> str:
    return f"{number:08d}.log"


def index_name(number: int) -> str:
    return f"{number:08d}.idx"


def segment_numbers(path: Path) -> list[int]:
    """The segments of a spool that have an index, oldest first; none for a directory that is not there."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return []
    return sorted(int(name[:8]) for name in names if len(name) == 12 and name[:8].isdigit() and name.endswith(".idx"))


class Segment:
    """A segment opened for reading. May grow, and be deleted, while it is open."""

    def __init__(self, path: Path, number: int) -> None:
        """Raises FileNotFoundError when it was deleted meanwhile."""
        self.number = number
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        self._index = os.open(path / index_name(number), flags)
        self._log = os.open(path / log_name(number), flags)
        self._first: SpoolRecord | None = None

    def __del__(self) -> None:
        # Not closed by hand: an iterator of another thread may still read what has been rotated away meanwhile.
        for name in ("_index", "_log"):
            if (fd := getattr(self, name, None)) is not None:
                os.close(fd)

    def count(self) -> int:
        """Records it holds now."""
        return os.fstat(self._index).st_size // RECORD_SIZE

    def record(self, position: int) -> SpoolRecord:
        return unpack(os.pread(self._index, RECORD_SIZE, position * RECORD_SIZE))

    def first(self) -> SpoolRecord:
        """Its first record; it must have one."""
        if self._first is None:
            self._first = self.record(0)
        return self._first

    def records(self, position: int) -> Iterator[SpoolRecord]:
        """The records from `position` on that it holds now."""
        while raw := os.pread(self._index, RECORD_SIZE * _BATCH, position * RECORD_SIZE):
            whole = len(raw) // RECORD_SIZE
            if not whole:
                return
            for i in range(whole):
                yield unpack(raw[i * RECORD_SIZE : (i + 1) * RECORD_SIZE])
            position += whole

    def sound(self) -> int:
        """How many records from the first on follow one another; those after them are damaged."""
        count, last = 0, None
        with suppress(OSError):
            for record in self.records(0):
                if last is not None and (record.start != last.end or record.line < last.line):
                    break
                count, last = count + 1, record
        return count

    def search(self, wanted: Callable[[SpoolRecord], bool]) -> int:
        """The position of the first record that is `wanted`, which must hold for all behind it too; else the count."""
        low, high = 0, self.count()
        while low < high:
            middle = (low + high) // 2
            if wanted(self.record(middle)):
                high = middle
            else:
                low = middle + 1
        return low

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from the absolute `offset` on."""
        position = offset - self.first().start
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(self._log, length, position)):
            parts.append(part)
            position += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
