"""The engine's framing of a container's two streams: eight bytes of header, then the bytes as the op wrote them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from gyoza_tui.backends.base import Stream

_HEADER: Final = struct.Struct(">BxxxL")
_STREAMS: Final = {0: Stream.STDOUT, 1: Stream.STDOUT, 2: Stream.STDERR, 3: Stream.STDERR}
"""3 is the engine's own error, sent in place of output."""


class Demuxer:
    """Output by stream, out of bytes that are cut anywhere. One per connection.

    Frames of one stream that came together leave together: an op that writes line by line makes a frame per line.
    """

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._kind = 1

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        if self._header:
            data, self._header = self._header + data, b""
        unpack, size, end = _HEADER.unpack_from, _HEADER.size, len(data)
        position, left, kind = 0, self._left, self._kind
        pieces: list[bytes] = []
        while position < end:
            if not left:
                if end - position < size:
                    self._header = data[position:]
                    break
                was = kind
                kind, left = unpack(data, position)
                position += size
                if kind != was and pieces:
                    yield _STREAMS.get(was, Stream.STDERR), b"".join(pieces)
                    pieces = []
            piece = data[position : position + left]
            position += len(piece)
            left -= len(piece)
            pieces.append(piece)
        self._left, self._kind = left, kind
        if whole := b"".join(pieces):
            yield _STREAMS.get(kind, Stream.STDERR), whole


def whole_frames(read: Callable[[], bytes]) -> Iterator[list[tuple[Stream, bytes]]]:
    """The complete frames that each read brought; a cut one at the end is dropped: the engine will give it again."""
    data = b""
    while more := read():
        data = data + more if data else more
        position, end = 0, len(data)
        frames = []
        while end - position >= _HEADER.size:
            kind, length = _HEADER.unpack_from(data, position)
            start = position + _HEADER.size
            if end - start < length:
                break
            if kind == 3:
                raise ConnectionError(data[start : start + length].decode(errors="replace"))
            frames.append((_STREAMS.get(kind, Stream.STDERR), data[start : start + length]))
            position = start + length
        data = data[position:]
        yield frames
