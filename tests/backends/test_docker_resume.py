"""Taking output up again on the real engine, from arbitrary byte positions, while it runs and after its end."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gyoza_tui.backends.base import Chunk, Exit, Handle, Resume, Stream, StreamMark
from tests.backends.docker_ops import DockerOps, joined, marks
from tests.images import PYTHON

pytestmark = pytest.mark.docker


@pytest.fixture
def ops(docker_engine: docker.APIClient, tmp_path: Path) -> Iterator[DockerOps]:
    ops = DockerOps(tmp_path)
    yield ops
    ops.close()


_BURSTS = """
import os, sys, time
for burst in range({bursts}):
    for i in range(400):
        os.write(1, b"out %d.%d %s\\n" % (burst, i, b"x" * (i * 7 % 50)))
        if i % 3 == 0:
            os.write(2, b"err %d.%d \\xff\\x00\\n" % (burst, i))
    os.write(1, b"a long line " + b"%d" % burst * 50000 + b"\\n\\n")
    os.write(2, b"half a line %d, " % burst)
    time.sleep({pause})
os.write(1, b"no newline at the end")
"""


def _expected(bursts: int) -> dict[Stream, bytes]:
    out, err = bytearray(), bytearray()
    for burst in range(bursts):
        for i in range(400):
            out += b"out %d.%d %s\n" % (burst, i, b"x" * (i * 7 % 50))
            if i % 3 == 0:
                err += b"err %d.%d \xff\x00\n" % (burst, i)
        out += b"a long line " + b"%d" % burst * 50000 + b"\n\n"
        err += b"half a line %d, " % burst
    return {Stream.STDOUT: bytes(out) + b"no newline at the end", Stream.STDERR: bytes(err)}


def _python(ops: DockerOps, script: str) -> Handle:
    return ops.backend.create(ops.spec("python3", "-c", script, image=PYTHON))


class _Spool:
    """What a worker keeps of an output, and loses none of when it is killed."""

    def __init__(self) -> None:
        self.data = {stream: bytearray() for stream in Stream}
        self.lost: list[str] = []
        self._times: dict[Stream, tuple[float, float]] = {}

    def take(self, chunk: Chunk, upto: int | None = None) -> None:
        if chunk.note:
            self.lost.append(chunk.note)
        self.data[chunk.stream] += chunk.data[:upto]
        now = time.time()
        self._times[chunk.stream] = (self._times.get(chunk.stream, (now, now))[0], now)

    def marks(self) -> Resume:
        return {
            stream: StreamMark(len(data), bytes(data[-4096:]), *self._times[stream]) if data else StreamMark()
            for stream, data in self.data.items()
        }

    @property
    def size(self) -> int:
        return sum(len(data) for data in self.data.values())

    def whole(self) -> dict[Stream, bytes]:
        return {stream: bytes(data) for stream, data in self.data.items()}


@pytest.mark.parametrize("seed", range(4))
def test_an_ended_op_is_taken_up_at_any_byte(ops: DockerOps, seed: int) -> None:
    handle = _python(ops, _BURSTS.format(bursts=3, pause=0.05))
    live = ops.backend.output(handle, None)
    ops.backend.start(handle)
    first_at = time.time()
    whole = joined(live)
    assert whole == _expected(3)
    ops.ended(handle)
    chance = random.Random(seed)
    for _ in range(6):
        kept = {
            stream: data[: chance.choice((0, chance.randrange(len(data) + 1), len(data)))]
            for stream, data in whole.items()
        }
        rest = joined(ops.backend.output(handle, marks(kept, first_at, time.time())))
        assert {stream: kept[stream] + rest[stream] for stream in Stream} == whole


@pytest.mark.parametrize("seed", range(4))
def test_a_running_op_is_taken_up_again_and_again(ops: DockerOps, seed: int) -> None:
    """Each reader is dropped somewhere in the middle of a chunk, as kill -9 does it."""
    chance = random.Random(seed)
    handle = _python(ops, _BURSTS.format(bursts=12, pause=0.15))
    spool = _Spool()
    output = ops.backend.output(handle, None)
    ops.backend.start(handle)
    for _ in range(6):
        wanted = spool.size + chance.randrange(200_000)
        for chunk in output:
            cut = chance.randrange(len(chunk.data) + 1) if spool.size + len(chunk.data) > wanted else None
            spool.take(chunk, cut)
            if cut is not None:
                break
        output.close()
        output = ops.backend.output(handle, spool.marks())
    for chunk in output:
        spool.take(chunk)
    assert isinstance(ops.backend.state(handle), Exit)
    assert spool.whole() == _expected(12)
    assert spool.lost == []


def test_one_line_without_end_shares_one_stamp(ops: DockerOps) -> None:
    script = "import os\nfor i in range(300): os.write(1, bytes([97 + i % 26]) * 10007)"
    handle = _python(ops, script)
    live = ops.backend.output(handle, None)
    ops.backend.start(handle)
    began = time.time()
    whole = joined(live)[Stream.STDOUT]
    ops.ended(handle)
    for size in (1, 16383, 16384, 16385, 1_500_000, len(whole) - 1, len(whole)):
        kept = {Stream.STDOUT: whole[:size], Stream.STDERR: b""}
        rest = joined(ops.backend.output(handle, marks(kept, began, time.time())))
        assert kept[Stream.STDOUT] + rest[Stream.STDOUT] == whole


def test_a_flood_is_followed_without_loss_or_marked(docker_engine: docker.APIClient, tmp_path: Path) -> None:
    """A log of 4 MB rotates many times under 40 MB: what cannot be had is marked, and so is what may come twice."""
    ops = DockerOps(tmp_path, container_log_mb=4)
    script = "for i in range(600_000): print(f'{i:09d} ' + 'y' * 54)"
    handle = _python(ops, script)
    spool = _Spool()
    live = ops.backend.output(handle, None)
    ops.backend.start(handle)
    for chunk in live:
        spool.take(chunk, None)
        if spool.size > 1_000_000:
            break
    live.close()
    for chunk in ops.backend.output(handle, spool.marks()):
        spool.take(chunk)
    numbers = [int(line[:9]) for line in spool.whole()[Stream.STDOUT].splitlines() if len(line) == 64]
    may_repeat = any("repeated" in words for words in spool.lost)
    assert may_repeat or numbers == sorted(set(numbers)), f"a line came twice; marked: {spool.lost}"
    assert numbers[0] == 0
    assert numbers[-1] == 599_999
    gaps = sum(1 for one, other in itertools.pairwise(numbers) if other != one + 1)
    assert gaps == 0 or spool.lost
    assert bool(spool.lost) == bool(gaps)
    ops.close()


def test_a_beginning_rotated_away_is_marked_and_the_place_found_by_the_last_bytes(
    docker_engine: docker.APIClient, tmp_path: Path
) -> None:
    ops = DockerOps(tmp_path, container_log_mb=1)
    handle = _python(
        ops, "import time\nfor i in range(40_000): print(f'{i:09d} ' + 'y' * 54); i % 4000 or time.sleep(0.4)"
    )
    live = ops.backend.output(handle, None)
    ops.backend.start(handle)
    began = time.time()
    chunks = []
    times = []
    for chunk in live:
        chunks.append(chunk)
        times.append(time.time())
    ops.ended(handle)
    whole = joined(chunks)[Stream.STDOUT]
    spool, expected_tail = bytearray(), whole[-200_000:]
    for chunk, at in zip(chunks, times, strict=True):
        spool += chunk.data
        last_at = at
        if len(spool) > len(whole) - 250_000:
            break
    mark = {Stream.STDOUT: StreamMark(len(spool), bytes(spool[-4096:]), began, last_at)}
    rest = joined(ops.backend.output(handle, mark))[Stream.STDOUT]
    assert bytes(spool) + rest == whole
    early = {Stream.STDOUT: StreamMark(1000, whole[:1000][-4096:], began, began + 0.1)}
    got = list(ops.backend.output(handle, early))
    assert any(chunk.note for chunk in got)
    assert b"".join(chunk.data for chunk in got).endswith(expected_tail)
    ops.close()
