"""Taking a container's output up again behind what the spool holds, without gap or repeat.

Two ways of reading the engine's log are joined. A *read* (without follow) is complete and exact, but costs the engine
a pass over the whole log. A *follow* is live, but ends before the last lines, and when the op outruns it across a
rotation of the log it skips, silently. So: read, follow, read again from where the follow began, skip what it gave,
and see whether that ends at the same place. Places are time stamps plus bytes, as the pieces of a long line share one
stamp. Where the spool stands is found by its byte count, proved by its last bytes; when the engine has rotated the
beginning away, by those bytes alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gyoza_tui.backends.base import BackendError, Chunk, Exit, Resume, Stream, StreamMark
from gyoza_tui.backends.docker.ends import in_life
from gyoza_tui.backends.docker.log_source import NS, LogSource, Message
from gyoza_tui.backends.docker.places import BEGINNING, AfterPlace, Behind, FromSpool, LogPlace, Skipper, TailSearch

_SKEW_NS: Final = 5 * NS
"""The two streams are stamped by two writers; one may be this much behind the other."""
_PAUSE_S: Final = 0.2
_LAG_PAUSES: Final = 15
"""How often a log that is shorter than the spool is looked at again: it is written a moment after the output."""


@dataclass(slots=True)
class _Track:
    """How far one stream is."""

    mark: StreamMark
    located: bool = False
    place: LogPlace = BEGINNING
    checkpoint: LogPlace = BEGINNING
    """Where the last complete read ended."""
    given: int = 0
    """Bytes given since the checkpoint."""
    whole_line: bool = True
    """Whether `place` is behind a newline: pieces of an unfinished line may still come under its stamp."""


class ResumedOutput:
    def __init__(self, log: LogSource, resume: Resume, log_file_bytes: int, earlier_life: float | None = None) -> None:
        """`log_file_bytes` is the size at which the engine rotates: half of it is followed unproved at most.

        `earlier_life`: a time (UTC seconds) in the life of the container that the spool ends in; a start after it is a
        restart from outside.
        """
        self._log = log
        self._budget = log_file_bytes // 2
        self._tracks = {stream: _Track(resume.get(stream, StreamMark())) for stream in Stream}
        self._lived_at = earlier_life
        self._ended_at: float | None = None
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Chunk]:
        try:
            yield from self._chunks()
        except (BackendError, OSError):
            return  # the state tells what became of the op

    def covers(self, end: Exit) -> bool:
        return self._ended_at is not None and in_life(end, self._ended_at)

    def close(self) -> None:
        self._closed.set()
        self._log.close()

    def _chunks(self) -> Iterator[Chunk]:
        pauses = 0
        while not self._closed.is_set():
            life = self._log.life()
            yield from self._restarted(life.started_at)
            final = not life.running or pauses >= _LAG_PAUSES
            yield from self._read(final=final)
            if not life.running:
                self._ended_at = life.ended_at
                return
            if not all(track.located for track in self._tracks.values()):
                pauses += 1
                self._closed.wait(_PAUSE_S)
                continue
            before = sum(track.given for track in self._tracks.values())
            yield from self._follow()
            if sum(track.given for track in self._tracks.values()) == before:
                self._closed.wait(_PAUSE_S)  # an engine whose follow ends at once is not asked in a loop

    def _restarted(self, started_at: float | None) -> Iterator[Chunk]:
        if started_at is not None and self._lived_at is not None and started_at > self._lived_at:
            at = datetime.fromtimestamp(started_at, UTC)
            yield Chunk(Stream.STDOUT, b"", note=f"the container was restarted from outside at {at:%H:%M:%S} UTC")
        self._lived_at = started_at

    def _read(self, *, final: bool) -> Iterator[Chunk]:
        """One complete read from the checkpoints, which proves what was followed and moves them to its end."""
        skippers: dict[Stream, Skipper] = {
            stream: Behind(track.checkpoint, track.given, track.place) if track.located else FromSpool(track.mark)
            for stream, track in self._tracks.items()
        }
        since = min(track.checkpoint.stamp for track in self._tracks.values())
        run = _Pass(self._tracks, skippers)
        for messages in self._log.read(since, follow=False):
            yield from run.take(messages)
        if self._closed.is_set():
            return
        yield from self._locate(run, final=final)
        for track in self._tracks.values():
            if track.located:
                if track.place.stamp < run.newest - _SKEW_NS and track.whole_line:
                    # Nothing of this stream is between: the next read need not go back further than the other's.
                    track.place = LogPlace(run.newest - _SKEW_NS, 0)
                track.checkpoint, track.given = track.place, 0

    def _locate(self, run: _Pass, *, final: bool) -> Iterator[Chunk]:
        """After the first read: which streams' places are known, by count, by their last bytes, or not at all."""
        astray: dict[Stream, TailSearch] = {}
        for stream, track in self._tracks.items():
            skipper = run.skippers[stream]
            if track.located or not isinstance(skipper, FromSpool):
                continue
            if skipper.astray:
                astray[stream] = TailSearch(track.mark)
            elif skipper.owes_newline:
                stamp, at = run.reached(stream)
                track.located, track.place = True, LogPlace(stamp, at + 1)
            elif skipper.flowing or final:
                track.located, track.place = True, run.reached(stream)
        if not astray:
            return
        for messages in self._log.read(0, follow=False):
            for message in messages:
                if message.stream in astray:
                    astray[message.stream].take(message.stamp, message.data)
        for stream, search in astray.items():
            track = self._tracks[stream]
            track.located, track.place = True, search.place
            if search.words:
                yield Chunk(stream, b"", note=search.words)
            rerun = _Pass({stream: track}, {stream: AfterPlace(track.place)})
            for messages in self._log.read(track.place.stamp, follow=False):
                yield from rerun.take(messages)

    def _follow(self) -> Iterator[Chunk]:
        run = _Pass(self._tracks, {stream: AfterPlace(track.place) for stream, track in self._tracks.items()})
        since = min(track.place.stamp for track in self._tracks.values())
        for messages in self._log.read(since, follow=True):
            yield from run.take(messages)
            if sum(track.given for track in self._tracks.values()) > self._budget:
                return


class _Seen(NamedTuple):
    stamp: int = 0
    size: int = 0


class _Pass:
    """One reading of the log, in which each stream first skips what is known."""

    def __init__(self, tracks: dict[Stream, _Track], skippers: dict[Stream, Skipper]) -> None:
        self._tracks = tracks
        self.skippers = skippers
        self._seen = dict.fromkeys(tracks, _Seen())
        self.newest = 0

    def take(self, messages: list[Message]) -> Iterator[Chunk]:
        """What is new of them; neighbours of one stream leave together, as the engine's log comes line by line."""
        pieces: list[bytes] = []
        last = Stream.STDOUT
        for message in messages:
            for chunk in self._take_one(message):
                if pieces and (chunk.stream is not last or chunk.note):
                    yield Chunk(last, b"".join(pieces))
                    pieces = []
                if chunk.note:
                    yield chunk
                else:
                    pieces.append(chunk.data)
                    last = chunk.stream
        if pieces:
            yield Chunk(last, b"".join(pieces))

    def _take_one(self, message: Message) -> Iterator[Chunk]:
        stream, stamp, data = message
        track = self._tracks.get(stream)
        if track is None:
            return
        self.newest = max(self.newest, stamp)
        seen = self._seen[stream]
        self._seen[stream] = seen = _Seen(stamp, len(data) + (seen.size if seen.stamp == stamp else 0))
        skipper = self.skippers[stream]
        new = skipper.new_part(stamp, data)
        if skipper.lost:
            yield Chunk(stream, b"", note=skipper.lost)
            skipper.lost = None
        if skipper.flowing:
            track.located, track.place, track.whole_line = True, LogPlace(*seen), data.endswith(b"\n")
            track.given += len(new)
            if new:
                yield Chunk(stream, new)

    def reached(self, stream: Stream) -> LogPlace:
        return LogPlace(*self._seen[stream])
