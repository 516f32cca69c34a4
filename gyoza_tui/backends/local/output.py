"""The output of a local op: two files, read on from where the spool stands. Exact, because a file keeps its offsets."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gyoza_tui.backends.base import Chunk, Exit, Resume, Stream
from gyoza_tui.backends.local.control import STREAM_FILES
from gyoza_tui.models.limits import KIB, MIB

_READ_BYTES: Final = 256 * KIB
_WAITS_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05)
"""Growing pauses while nothing comes: low latency at first, no burnt CPU later."""
_KEEP_BYTES: Final = 64 * MIB
"""What stays on disk behind the reader: far more than a spool holds in memory, so than a crash could ask for again."""
_PUNCH_HOLE: Final = 0x02 | 0x01  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


class FileOutput:
    """Tails stdout and stderr until `ended` and both are read to their ends."""

    def __init__(self, control: Path, resume: Resume | None, ended: Callable[[], bool]) -> None:
        """Raises FileNotFoundError when the attempt is gone."""
        self._ended = ended
        self._closed = threading.Event()
        self._read_to_end = False
        self._tails: list[_Tail] = []
        for stream, name in STREAM_FILES.items():
            mark = resume.get(stream) if resume else None
            self._tails.append(_Tail(stream, control / name, mark.size if mark else 0))

    def covers(self, end: Exit) -> bool:
        return self._read_to_end

    def close(self) -> None:
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        idle = 0
        while not self._closed.is_set():
            last_round = self._ended()
            came = False
            for tail in self._tails:
                for chunk in tail.read():
                    came = True
                    yield chunk
                    if self._closed.is_set():
                        return
            if came:
                idle = 0
            elif last_round:
                self._read_to_end = True
                return
            else:
                self._closed.wait(_WAITS_S[min(idle // 4, len(_WAITS_S) - 1)])
                idle += 1


class _Tail:
    def __init__(self, stream: Stream, path: Path, position: int) -> None:
        self._stream = stream
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._position = position
        self._punched = 0
        self._checked = False

    def __del__(self) -> None:
        if (fd := getattr(self, "_fd", None)) is not None:
            os.close(fd)

    def read(self) -> Iterator[Chunk]:
        """What came since the last time, up to some: the other stream wants its turn."""
        if not self._checked:
            self._checked = True
            if lost := self._skip_hole():
                yield Chunk(self._stream, b"", note=f"{lost} bytes of {self._stream} are no longer kept")
        data = os.pread(self._fd, _READ_BYTES, self._position)
        if data:
            self._position += len(data)
            self._let_go()
            yield Chunk(self._stream, data)

    def _skip_hole(self) -> int:
        """Bytes at our position that an earlier reader let go of."""
        if self._position >= os.fstat(self._fd).st_size:
            return 0
        try:
            data = os.lseek(self._fd, self._position, os.SEEK_DATA)
        except OSError:
            return 0
        lost, self._position = data - self._position, data
        return lost

    def _let_go(self) -> None:
        """Give the disk back what was read long ago: the spool has it, and its own cap."""
        end = self._position - _KEEP_BYTES
        if end - self._punched < _KEEP_BYTES:
            return
        with suppress(OSError, AttributeError):
            fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
            fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
            fallocate(self._fd, _PUNCH_HOLE, 0, end)
        self._punched = end
