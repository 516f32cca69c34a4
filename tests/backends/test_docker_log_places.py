"""Finding the place in the engine's log again, on a scripted log that rotates, skips and lags as the engine's does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.backends.base import Chunk, Resume, Stream, StreamMark
from gyoza_tui.backends.docker.frames import Demuxer
from gyoza_tui.backends.docker.log_source import NS, Life, LineMender, Message
from gyoza_tui.backends.docker.resume import ResumedOutput

_START = 1_800_000_000 * NS
_BIG = 1 << 40


class _Log:
    """Messages become readable as `written` grows; a follow gives what `follows` says and leaves out `skipped`."""

    def __init__(self, messages: list[Message], *, written: int | None = None, skipped: set[int] | None = None) -> None:
        self.messages = messages
        self.written = len(messages) if written is None else written
        self.skipped = skipped or set()
        self.dropped = 0

    def life(self) -> Life:
        return Life(self.written < len(self.messages))

    def read(self, since: int, *, follow: bool) -> Iterator[list[Message]]:
        if not follow:
            yield [m for m in self.messages[self.dropped : self.written] if m.stamp >= since]
            return
        before, self.written = self.written, min(len(self.messages), self.written + 7)
        for index in range(self.dropped, self.written):
            message = self.messages[index]
            if message.stamp >= since and (index < before or index not in self.skipped):
                yield [message]

    def close(self) -> None:
        pass


def _messages(parts: list[tuple[bool, bytes]], step: int = NS) -> list[Message]:
    """Each part on the stream it names, with its own stamp; long ones in pieces that share it."""
    messages = []
    for number, (is_error, data) in enumerate(parts):
        stream = Stream.STDERR if is_error else Stream.STDOUT
        for cut in range(0, len(data), 16):
            messages.append(Message(stream, _START + number * step, data[cut : cut + 16]))
    return messages


def _whole(messages: list[Message]) -> dict[Stream, bytes]:
    return {stream: b"".join(m.data for m in messages if m.stream is stream) for stream in Stream}


def _marks(messages: list[Message], sizes: tuple[int, int], last_at: float | None = None) -> Resume:
    marks = {}
    for (stream, data), size in zip(_whole(messages).items(), sizes, strict=True):
        first_at = min((m.stamp / NS for m in messages if m.stream is stream), default=None)
        kept = data[:size]
        marks[stream] = StreamMark(len(kept), kept[-8:], first_at, last_at) if kept else StreamMark()
    return marks


def _taken(chunks: list[Chunk]) -> dict[Stream, bytes]:
    return {stream: b"".join(c.data for c in chunks if c.stream is stream) for stream in Stream}


_PARTS = st.lists(st.tuples(st.booleans(), st.binary(max_size=60).map(lambda data: data + b"\n")), max_size=30)


@given(parts=_PARTS, sizes=st.tuples(st.integers(0, 2000), st.integers(0, 2000)), written=st.integers(0, 60))
def test_every_byte_once_from_any_place(parts: list[tuple[bool, bytes]], sizes: tuple[int, int], written: int) -> None:
    messages = _messages(parts)
    log = _Log(messages, written=min(written, len(messages)))
    readable = _whole(messages[: log.written])
    sizes = (min(sizes[0], len(readable[Stream.STDOUT])), min(sizes[1], len(readable[Stream.STDERR])))
    whole = _whole(messages)
    chunks = list(ResumedOutput(log, _marks(messages, sizes), _BIG))
    assert not [chunk.note for chunk in chunks if chunk.note]
    got = _taken(chunks)
    for stream, size in zip(Stream, sizes, strict=True):
        assert whole[stream][:size] + got[stream] == whole[stream]


@given(count=st.integers(20, 60), hole=st.integers(3, 10), start=st.integers(2, 8))
def test_a_follow_that_skips_is_found_out(count: int, hole: int, start: int) -> None:
    """What it left out is gone or given late, but never silently."""
    messages = _messages([(False, b"line %d\n" % number) for number in range(count)])
    log = _Log(messages, written=start, skipped=set(range(start + 2, start + 2 + hole)))
    chunks = list(ResumedOutput(log, {}, _BIG))
    lines = _taken(chunks)[Stream.STDOUT].splitlines()
    assert len(lines) == len(set(lines))
    assert any(chunk.note for chunk in chunks) == (len(lines) < count)
    assert lines[-1] == b"line %d" % (count - 1)


def test_a_rotated_log_goes_on_behind_the_last_bytes() -> None:
    messages = _messages([(False, b"line %03d\n" % number) for number in range(100)])
    whole = _whole(messages)
    log = _Log(messages)
    log.dropped = 40
    size = whole[Stream.STDOUT].index(b"line 070") + 3
    last_at = messages[70].stamp / NS + 0.1
    chunks = list(ResumedOutput(log, _marks(messages, (size, 0), last_at), _BIG))
    assert not [chunk.note for chunk in chunks if chunk.note]
    assert whole[Stream.STDOUT][:size] + _taken(chunks)[Stream.STDOUT] == whole[Stream.STDOUT]


def test_what_is_rotated_away_is_marked_before_what_is_left() -> None:
    messages = _messages([(False, b"line %03d\n" % number) for number in range(100)])
    log = _Log(messages)
    log.dropped = 40
    marks = _marks(messages, (50, 0), messages[5].stamp / NS)
    first, *rest = list(ResumedOutput(log, marks, _BIG))
    assert "dropped" in str(first.note)
    assert _taken(rest)[Stream.STDOUT].startswith(b"line 040\n")


def test_the_newline_of_a_long_line_is_put_back_once() -> None:
    out = Stream.STDOUT
    pieces = [Message(out, 1, b"x" * 16), Message(out, 1, b"y"), Message(out, 2, b"z\n"), Message(out, 3, b"end")]
    mender = LineMender()
    mended = [message for piece in pieces for message in mender.mend([piece])]
    assert b"".join(message.data for message in mended) == b"x" * 16 + b"y\nz\nend"


@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=20),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=30),
)
def test_frames_cut_anywhere(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    raw = b"".join(bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for kind, data in frames)
    demuxer, got, position = Demuxer(), [], 0
    for cut in [*cuts, len(raw) or 1]:
        got += list(demuxer.feed(raw[position : position + cut])) if position < len(raw) else []
        position += cut

    def runs(pieces: list[tuple[Stream, bytes]]) -> list[tuple[Stream, bytes]]:
        filled = [(stream, data) for stream, data in pieces if data]
        return [(stream, b"".join(d for _, d in group)) for stream, group in groupby(filled, key=lambda p: p[0])]

    assert runs(got) == runs([(Stream.STDOUT if kind == 1 else Stream.STDERR, data) for kind, data in frames])
