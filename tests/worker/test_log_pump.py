"""From an output to the spool, where both are scripted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import Chunk, Exit, Handle, Resume, Stream
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.execution_pipeline import log_pump
from gyoza_tui.worker.execution_pipeline.log_pump import LogPump
from gyoza_tui.worker.op_output.log_spool import LogSpool
from tests.waiting import until

_PIECE = 4096
_ALL = bytes(range(256)) * 16 * 10


class _Output:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._closed = False

    def __iter__(self) -> Iterator[Chunk]:
        for begin in range(0, len(self._data), _PIECE):
            if self._closed:
                return
            yield Chunk(Stream.STDOUT, self._data[begin : begin + _PIECE])

    def covers(self, end: Exit) -> bool:
        return False

    def close(self) -> None:
        self._closed = True


class _Ended:
    """An attempt whose stream was lost before it wrote all that its engine has of it."""

    def output(self, handle: Handle, resume: Resume | None) -> _Output:
        return _Output(b"" if resume is None else _ALL[resume[Stream.STDOUT].size :])

    def wait(self, handle: Handle, timeout_s: float) -> Exit:
        return Exit(0)


def test_the_rest_of_a_lost_stream_is_read_to_its_end_however_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_pump, "BUFFER_MAX", _PIECE // 2)
    backend: Any = _Ended()
    spool = LogSpool(tmp_path / "op.log", 1 << 20)
    pump = LogPump(
        backend,
        {},
        spool,
        SystemClock(),
        parsed=0,
        tell=lambda *_: None,
        warn=lambda _: None,
        wake=threading.Event(),
    )
    pump.go(pump.open(fresh=True))
    until(lambda: pump.ended, "all is spooled")
    assert pump.error is None
    assert b"".join(spool.raw()) == _ALL
    spool.close()
