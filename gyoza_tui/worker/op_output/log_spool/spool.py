"""The spool as the worker uses it: buffered appends, and all the reading."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import Chunk, Resume, Stream
from gyoza_tui.models.limits import KIB
from gyoza_tui.worker.op_output.log_spool.lines import Cut, LogLine
from gyoza_tui.worker.op_output.log_spool.reader import SpoolReader
from gyoza_tui.worker.op_output.log_spool.records import KIND_OF, Kind
from gyoza_tui.worker.op_output.log_spool.writer import SegmentWriter

_FLUSH_BYTES: Final = 512 * KIB
_FLUSH_CHUNKS: Final = 16 * 1024


class LogSpool:
    """The output of one attempt, kept in the directory `path`, at most `max_bytes` of it.

    Thread-safe. What `append` takes is in memory until `flush`, a full buffer or any reading here. When the disk does
    not take it, that call and each later one raises OSError; what is on disk stays readable, and opening the spool
    again goes on behind it.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._chunks: list[tuple[Kind, float, builtins.bytes]] = []
        self._buffered = 0
        path.mkdir(parents=True, exist_ok=True)
        self._failed: OSError | None = None
        self._writer = SegmentWriter(path, max_bytes)
        self._reader = SpoolReader(path)

    def append(self, chunk: Chunk, at: float) -> None:
        """Add what was read at `at` (UTC seconds). The note of a chunk becomes a line."""
        if chunk.note is not None:
            kind, data = Kind.NOTE, f"[gyoza-tui: {chunk.note}]\n".encode(errors="replace")
        else:
            kind, data = KIND_OF[chunk.stream], chunk.data
        if not data:
            return
        with self._lock:
            self._chunks.append((kind, at, data))
            self._buffered += len(data)
            if self._buffered >= _FLUSH_BYTES or len(self._chunks) >= _FLUSH_CHUNKS:
                self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system: it survives the end of this process, not a power failure."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            chunks, self._chunks, self._buffered = self._chunks, [], 0
            if not chunks:
                return
            try:
                self._writer.take(chunks)
            except OSError as error:
                self._failed = error
                raise

    def close(self) -> None:
        """Flush and let go of the files; a second call does nothing. What has failed is not raised again."""
        with self._lock:
            try:
                if self._failed is None:
                    self.flush()
            finally:
                self._writer.close()
                self._reader.close()

    def _flushed(self) -> SpoolReader:
        with self._lock:
            if self._failed is None:
                self.flush()
        return self._reader

    @property
    def written(self) -> int:
        """Bytes ever spooled of which readers know. From memory: it waits for nothing."""
        return self._writer.written

    @property
    def bytes(self) -> int:
        """Bytes ever spooled, what was cut and notes of ours included."""
        return self._flushed().bytes

    @property
    def lines(self) -> int:
        """Lines ever spooled, an unfinished last one included."""
        return self._flushed().lines

    @property
    def cuts(self) -> tuple[Cut, ...]:
        return self._flushed().cuts

    def resume(self) -> Resume:
        """Where each stream stands, for `Backend.output`."""
        return self._flushed().resume()

    def stream_pieces(self, stream: Stream, offset: int = 0) -> Iterator[tuple[int, builtins.bytes]]:
        """(offset in the stream, bytes) from `offset` on; what was cut is left out, which the offsets show."""
        return self._flushed().stream_pieces(stream, offset)

    def stream_bytes(self, stream: Stream, offset: int = 0) -> Iterator[builtins.bytes]:
        """The bytes of one stream from `offset` on; what was cut is left out."""
        return self._flushed().stream_bytes(stream, offset)

    def read_lines(self, start: int, count: int) -> list[LogLine]:
        """Up to `count` lines from number `start` on. A cut is one line of words, numbered as its first lost line."""
        return self._flushed().read_lines(start, count)

    def tail(self, n_bytes: int) -> builtins.bytes:
        """The last `n_bytes` bytes, without what lies before a cut."""
        return self._flushed().tail(n_bytes)

    def raw(self, offset: int = 0) -> Iterator[builtins.bytes]:
        """All bytes from `offset` on in order of arrival, each cut marked by a line of its own."""
        return self._flushed().raw(offset)
