"""The engine's own log of a container, message by message with its time stamp."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from gyoza_tui.backends.base import Stream, VanishedHandle
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.backends.docker.frames import whole_frames
from gyoza_tui.backends.docker.stream import RawStream

_STAMP_LENGTH: Final = len("2026-01-02T03:04:05.123456789Z")
_HEADER_TIMEOUT_S: Final = 60.0
NS: Final = 10**9


class Message(NamedTuple):
    """What the engine stamped at once: a line, or up to 16 KiB of a longer one, whose pieces share one stamp."""

    stream: Stream
    stamp: int
    """UTC nanoseconds."""
    data: bytes


class Life(NamedTuple):
    """The container's present life, or its last one."""

    running: bool
    started_at: float | None = None
    """UTC seconds by the engine's clock, as all stamps."""
    ended_at: float | None = None


class LogSource(Protocol):
    def read(self, since: int, *, follow: bool) -> Iterator[list[Message]]:
        """All that is stamped `since` or later, as much at a time as came together.

        Without `follow` it is complete; with it, it may skip and end early.
        """

    def life(self) -> Life: ...

    def close(self) -> None:
        """End a blocked read, from any thread; later reads are empty."""


class EngineLog:
    def __init__(self, engine: Engine, container: str, life: Callable[[], Life]) -> None:
        self._engine = engine
        self._container = container
        self._life = life
        self._stream: RawStream | None = None
        self._closed = False

    def life(self) -> Life:
        return self._life()

    def read(self, since: int, *, follow: bool) -> Iterator[list[Message]]:
        if self._closed:
            return
        query = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
        if since > 0:
            query["since"] = f"{since // NS}.{since % NS:09d}"
        path = f"/containers/{self._container}/logs"
        with self._engine.stream("GET", path, query, timeout_s=_HEADER_TIMEOUT_S) as stream:
            self._stream = stream
            if self._closed:
                return
            if stream.status == 404:
                raise VanishedHandle(f"the container {self._container[:12]} is gone")
            if stream.status != 200:
                raise self._engine.refused(stream.read_all(4096).decode(errors="replace"), stream.status)
            stream.wait_for_ever()
            stamps = _Stamps()
            mender = LineMender()
            for frames in whole_frames(stream.read):
                yield mender.mend(
                    [Message(kind, stamps.parse(frame), frame[_STAMP_LENGTH + 1 :]) for kind, frame in frames]
                )

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            self._stream.close()


class LineMender:
    """Puts back the newline that the driver `local` drops behind the last piece of a line of over 16 KiB.

    That the line is over shows in the stamp of what follows. At the very end of the log nothing follows, and a
    newline there is lost.
    """

    def __init__(self) -> None:
        self._open: dict[Stream, int] = {}

    def mend(self, messages: list[Message]) -> list[Message]:
        mended = []
        for message in messages:
            unfinished = self._open.pop(message.stream, None)
            if unfinished is not None and unfinished != message.stamp:
                mended.append(Message(message.stream, unfinished, b"\n"))
            if not message.data.endswith(b"\n"):
                self._open[message.stream] = message.stamp
            mended.append(message)
        return mended


class _Stamps:
    """Parses the engine's times, a flood of which mostly differ in their fraction only."""

    def __init__(self) -> None:
        self._prefix = b""
        self._seconds = 0

    def parse(self, frame: bytes) -> int:
        if frame[:19] != self._prefix:
            self._prefix = frame[:19]
            self._seconds = calendar.timegm(time.strptime(self._prefix.decode("ascii"), "%Y-%m-%dT%H:%M:%S"))
        return self._seconds * NS + int(frame[20:29])
