"""A container's output as it is written: attached before the start, so that nothing of it is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gyoza_tui.backends.base import Chunk, Exit
from gyoza_tui.backends.docker.end_notice import Death, EndNotice
from gyoza_tui.backends.docker.ends import in_life
from gyoza_tui.backends.docker.frames import Demuxer
from gyoza_tui.backends.docker.stream import RawStream


class LiveOutput:
    """An attached output. An attached reader that does not read freezes the op: whoever iterates must be quick."""

    def __init__(self, stream: RawStream, notice: EndNotice, on_end: Callable[[Death | None], None]) -> None:
        """`on_end` is called when the stream ended by itself, with the death of the container where one was heard."""
        self._stream = stream
        self._notice = notice
        self._on_end = on_end
        self._closed = False
        self._death: Death | None = None

    def __iter__(self) -> Iterator[Chunk]:
        demuxer = Demuxer()
        try:
            while data := self._stream.read():
                for stream, piece in demuxer.feed(data):
                    yield Chunk(stream, piece)
        except OSError:
            pass
        finally:
            self._stream.close()
        if not self._closed:
            self._death = self._notice.death()
            self._on_end(self._death)

    def covers(self, end: Exit) -> bool:
        return self._death is not None and in_life(end, self._death.at)

    def close(self) -> None:
        self._closed = True
        self._stream.close()
        self._notice.close()
