"""The spool keeps every byte or says which not: over caps, crashes at any byte, and readers of other processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.op_output.log_spool import LogSpool, SpoolReader
from tests.waiting import until

OUT, ERR = Stream.STDOUT, Stream.STDERR

pieces = st.lists(
    st.tuples(st.sampled_from([OUT, ERR]), st.text("ab\n", min_size=1, max_size=40).map(str.encode), st.booleans()),
    max_size=60,
)
quick = settings(max_examples=150, suppress_health_check=list(HealthCheck))


_count = 0


def new_dir(tmp_path: Path) -> Path:
    global _count
    _count += 1
    return tmp_path / f"spool{_count}"


def fill(spool: LogSpool, parts: list[tuple[Stream, bytes, bool]]) -> bytes:
    """Append, flushing where a part says so; all bytes in order of arrival."""
    for i, (stream, data, flush) in enumerate(parts):
        spool.append(Chunk(stream, data), 1000.0 + i)
        if flush:
            spool.flush()
    return b"".join(data for _, data, _ in parts)


def of(parts: list[tuple[Stream, bytes, bool]], stream: Stream) -> bytes:
    return b"".join(data for s, data, _ in parts if s is stream)


def model_lines(parts: list[tuple[Stream, bytes, bool]]) -> list[tuple[Stream, bytes]]:
    """Lines in order of arrival; a change of stream ends an unfinished line."""
    lines: list[tuple[Stream, bytes]] = []
    unfinished: tuple[Stream, bytes] | None = None
    for stream, data, _ in parts:
        if unfinished and unfinished[0] is not stream:
            lines.append(unfinished)
            unfinished = None
        *whole, rest = ((unfinished[1] if unfinished else b"") + data).split(b"\n")
        lines += [(stream, line) for line in whole]
        unfinished = (stream, rest) if rest else None
    return lines + ([unfinished] if unfinished else [])


@quick
@given(parts=pieces, start=st.integers(0, 50), count=st.integers(0, 50))
def test_bytes_lines_and_streams_come_back(
    tmp_path: Path, parts: list[tuple[Stream, bytes, bool]], start: int, count: int
) -> None:
    spool = LogSpool(new_dir(tmp_path), MIB)
    whole = fill(spool, parts)
    lines = model_lines(parts)
    assert b"".join(spool.raw()) == whole
    assert (spool.bytes, spool.lines) == (len(whole), len(lines))
    found = spool.read_lines(start, count)
    assert [(line.number, line.stream, line.data) for line in found] == [
        (start + i, *line) for i, line in enumerate(lines[start : start + count])
    ]
    for stream in Stream:
        assert b"".join(spool.stream_bytes(stream, start)) == of(parts, stream)[start:]
        mark = spool.resume()[stream]
        assert (mark.size, mark.tail) == (len(of(parts, stream)), of(parts, stream)[-4096:])
        times = [1000.0 + i for i, part in enumerate(parts) if part[0] is stream]
        assert (mark.first_at, mark.last_at) == ((times[0], times[-1]) if times else (None, None))
    assert spool.tail(start) == (whole[-start:] if start else b"")
    spool.close()


@quick
@given(parts=pieces, damage=st.lists(st.tuples(st.booleans(), st.integers(0, 6000)), max_size=3))
def test_truncated_anywhere_it_goes_on_exactly(
    tmp_path: Path, parts: list[tuple[Stream, bytes, bool]], damage: list[tuple[bool, int]]
) -> None:
    """Whatever a crash takes from either file: what is left is a prefix, and resume says what to send again."""
    path = new_dir(tmp_path)
    spool = LogSpool(path, MIB)
    whole = fill(spool, parts)
    spool.close()
    for data_file, size in damage:
        file = path / ("00000000.log" if data_file else "00000000.idx")
        if file.exists() and size < file.stat().st_size:
            with file.open("r+b") as opened:
                opened.truncate(size)
    again = LogSpool(path, MIB)
    kept = b"".join(again.raw())
    assert whole.startswith(kept)
    assert again.written == again.bytes == len(kept)
    resume = again.resume()
    assert sum(mark.size for mark in resume.values()) == len(kept)
    rest = {stream: of(parts, stream)[mark.size :] for stream, mark in resume.items()}
    for stream, data in rest.items():
        assert of(parts, stream)[: resume[stream].size].endswith(resume[stream].tail)
        again.append(Chunk(stream, data), 5000.0)
    for stream in Stream:
        assert b"".join(again.stream_bytes(stream)) == of(parts, stream)
    assert len(again.read_lines(0, 10_000)) == again.lines
    again.close()


@quick
@given(parts=pieces, cap=st.integers(1, 700), reopen=st.integers(0, 60))
def test_the_cap_keeps_head_and_tail_and_tells_the_rest(
    tmp_path: Path, parts: list[tuple[Stream, bytes, bool]], cap: int, reopen: int
) -> None:
    path = new_dir(tmp_path)
    spool = LogSpool(path, cap)
    fill(spool, parts[:reopen])
    spool.close()
    spool = LogSpool(path, cap)
    fill(spool, parts[reopen:])
    whole = b"".join(data for _, data, _ in parts)
    raw = b"".join(spool.raw())
    assert spool.written == spool.bytes == len(whole)
    assert spool.lines == len(model_lines(parts))
    assert sum(file.stat().st_size for file in path.glob("*.log")) <= max(cap, 16)
    if not spool.cuts:
        assert raw == whole
    else:
        (cut,) = spool.cuts
        assert raw == whole[: cut.offset] + f"\n{cut.words}\n".encode() + whole[cut.offset + cut.bytes :]
        shown = {line.number for line in spool.read_lines(0, 10_000) if not line.cut_lines}
        lost = set(range(cut.first_line, cut.first_line + cut.lines))
        assert not shown & lost
        assert shown | lost == set(range(spool.lines))
    for stream in Stream:
        for offset, data in spool.stream_pieces(stream):
            assert of(parts, stream)[offset : offset + len(data)] == data
        assert spool.resume()[stream].size == len(of(parts, stream))
        assert of(parts, stream).endswith(spool.resume()[stream].tail)
    spool.close()


def test_whole_lines_are_kept_on_both_sides_of_a_cut(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "s", 10_000)
    for i in range(5000):
        spool.append(Chunk(OUT, b"line %06d\n" % i), 1.0)
    (cut,) = spool.cuts
    raw = b"".join(spool.raw())
    head, _, tail = raw.partition(b"\n" + cut.words.encode() + b"\n")
    assert head.endswith(b"\n")
    assert tail.startswith(b"line ")
    assert cut.bytes == 12 * cut.lines
    assert len(head) + len(tail) + cut.bytes == 60_000
    assert 4000 < len(head) <= 5000
    assert 4000 < len(tail) <= 5000
    mark = spool.read_lines(cut.first_line + cut.lines // 2, 2)
    assert (mark[0].cut_lines, mark[0].stream) == (cut.lines, None)
    assert mark[1].data == b"line %06d" % mark[1].number
    assert spool.tail(9000) == tail
    spool.close()


def test_lost_output_is_a_line_of_words_in_neither_stream(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "s", MIB)
    spool.append(Chunk(OUT, b"half"), 1.0)
    spool.append(Chunk(OUT, b"", note="the engine rotated 5 lines away"), 2.0)
    spool.append(Chunk(OUT, b"more\n"), 3.0)
    assert [(line.stream, line.data, line.partial) for line in spool.read_lines(0, 9)] == [
        (OUT, b"half", True),
        (None, b"[gyoza-tui: the engine rotated 5 lines away]", False),
        (OUT, b"more", False),
    ]
    assert spool.resume()[OUT].size == 9
    spool.close()


def test_one_line_of_100_mb_is_one_line(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "s", 512 * MIB)
    for _ in range(1600):
        spool.append(Chunk(OUT, b"x" * 65536), 1.0)
    spool.append(Chunk(OUT, b"\nlast"), 1.0)
    assert spool.lines == 2
    long, last = spool.read_lines(0, 5)
    assert (len(long.data), long.partial) == (256 * 1024, True)
    assert (last.number, last.data, last.partial) == (1, b"last", True)
    spool.close()


def test_a_reader_follows_while_it_is_written(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "s", MIB)
    reader = SpoolReader(tmp_path / "s")
    ended = threading.Event()
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.extend(reader.follow(ended.is_set)))
    thread.start()
    for i in range(200):
        spool.append(Chunk(OUT if i % 3 else ERR, b"%d\n" % i), 1.0)
        spool.flush()
        if i == 100:
            until(lambda: b"100\n" in b"".join(got), "what was written is followed")
    ended.set()
    thread.join(20)
    assert b"".join(got) == b"".join(b"%d\n" % i for i in range(200))
    assert SpoolReader(tmp_path / "nothing").read_lines(0, 5) == []
    spool.close()


def test_a_reader_survives_rotation_under_its_feet(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path / "s", 4000)
    reader = SpoolReader(tmp_path / "s")
    spool.append(Chunk(OUT, b"x" * 99 + b"\n"), 1.0)
    for i in range(300):
        spool.append(Chunk(OUT, b"y" * 99 + b"\n"), 1.0)
        if i == 40:
            spool.flush()
            walk = reader.raw(100)
            first = next(walk)
    spool.flush()
    assert first.startswith(b"y")
    assert b"".join(reader.raw()) == b"".join(spool.raw())
    b"".join(walk)
    spool.close()


KILLED = """
import sys, itertools
from pathlib import Path
from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.worker.op_output.log_spool import LogSpool
spool = LogSpool(Path(sys.argv[1]), 300_000)
sizes = {s: m.size for s, m in spool.resume().items()}
rnd = __import__("random").Random(sum(sizes.values()))
print("ready", flush=True)
while True:
    stream = rnd.choice(list(Stream))
    size = rnd.choice([1, 10, 3000])
    at = sizes[stream]
    # Byte n of a stream is a function of n: whoever reads it can tell where it belongs.
    spool.append(Chunk(stream, bytes((n * 7 + n // 251) % 251 for n in range(at, at + size))), 1.0)
    sizes[stream] = at + size
    if rnd.random() < 0.2:
        spool.flush()
"""


def test_kill_9_of_the_writer_leaves_no_gap_and_no_repeat(tmp_path: Path) -> None:
    rnd = random.Random(5)
    for _ in range(12):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path / "s")], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        threading.Event().wait(rnd.random() * 0.15)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        spool = LogSpool(tmp_path / "s", 300_000)
        for stream in Stream:
            for offset, data in spool.stream_pieces(stream):
                assert data == bytes((n * 7 + n // 251) % 251 for n in range(offset, offset + len(data)))
        assert len(spool.cuts) <= 1
        spool.close()


def test_a_disk_that_is_full_fails_the_call_and_leaves_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gyoza_tui.worker.op_output.log_spool import writer

    spool = LogSpool(tmp_path / "s", MIB)
    spool.append(Chunk(OUT, b"kept\n"), 1.0)
    spool.flush()

    def full(fd: int, data: bytes) -> None:
        real(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    real = writer._write_all
    monkeypatch.setattr(writer, "_write_all", full)
    spool.append(Chunk(OUT, b"lost\n"), 1.0)
    with pytest.raises(OSError, match="No space"):
        spool.flush()
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space"):
        spool.flush()
    assert spool.tail(100) == b"kept\n"
    spool.close()
    again = LogSpool(tmp_path / "s", MIB)
    assert again.resume()[OUT].size == 5
    again.close()


def test_it_keeps_up_with_a_flood_and_needs_no_memory(tmp_path: Path) -> None:
    """Measured: 380 MB/s and 450,000 appends/s; the bounds here leave room for a busy machine."""
    spool = LogSpool(tmp_path / "s", 256 * MIB)
    chunk = Chunk(OUT, (b"x" * 79 + b"\n") * 819)
    started = time.thread_time()
    for _ in range(2000):
        spool.append(chunk, 1.0)
    spool.flush()
    assert 2000 * len(chunk.data) / (time.thread_time() - started) > 60e6
    started = time.thread_time()
    for i in range(100_000):
        spool.append(Chunk(OUT, b"a short line\n"), float(i))
    spool.flush()
    assert time.thread_time() - started < 5
    tracemalloc.start()
    started = time.thread_time()
    assert len(spool.read_lines(1_500_000, 60)) == 60
    assert time.thread_time() - started < 0.25
    assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    tracemalloc.stop()
    spool.close()


def _instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(5000)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "noise at the end": lambda path: path.write_bytes(path.read_bytes()[:-200] + random.Random(1).randbytes(200)),
    "noise within": lambda path: path.write_bytes(
        path.read_bytes()[:200] + random.Random(1).randbytes(200) + path.read_bytes()[400:]
    ),
    "gone": lambda path: path.unlink(),
    "a directory": lambda path: _instead(path, Path.mkdir),
    "a fifo": lambda path: _instead(path, os.mkfifo),
}


@pytest.mark.parametrize("damage", _DAMAGES)
@pytest.mark.parametrize("file", ["00000000.idx", "00000000.log"])
def test_a_damaged_file_costs_what_it_held(tmp_path: Path, file: str, damage: str) -> None:
    """Whatever is left of it, the next start of the worker goes on behind that, and has the rest sent again."""
    lines = [b"line %d\n" % number for number in range(300)]
    spool = LogSpool(tmp_path / "log", 1 << 20)
    for number, line in enumerate(lines):
        spool.append(Chunk(Stream.STDOUT, line), 1.0 + number)
    spool.close()
    _DAMAGES[damage](tmp_path / "log" / file)
    again = LogSpool(tmp_path / "log", 1 << 20)
    mark = again.resume().get(Stream.STDOUT)
    kept = mark.size if mark else 0
    again.append(Chunk(Stream.STDOUT, b"".join(lines)[kept:]), 1000.0)
    again.flush()
    found = b"".join(again.raw())
    again.close()
    assert len(found) == len(b"".join(lines))
    if file.endswith(".idx"):  # nothing tells noise among the bytes of an op
        assert found == b"".join(lines)


def test_a_closed_spool_has_no_file_open_whoever_still_knows_it(tmp_path: Path) -> None:
    """A worker's slots are in circles that are collected some time later, and a descriptor each would add up."""
    spool = LogSpool(tmp_path / "log", MIB)
    spool.append(Chunk(Stream.STDOUT, b"a line\n"), 0.0)
    assert spool.lines == 1
    assert _opened_below(tmp_path)
    spool.close()
    assert _opened_below(tmp_path) == []
    assert spool.tail(100) == b"a line\n", "it can still be read"


def _opened_below(directory: Path) -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return [path for path in found if path.startswith(str(directory))]
