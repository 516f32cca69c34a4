"""An archive that does not come as it should: the op is charged only with what it did."""

from __future__ import annotations

import base64
import io
import json
import socket
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from gyoza_tui.backends.base import BackendError, BackendUnavailable, FileRefused
from gyoza_tui.backends.docker.archive import fetch
from gyoza_tui.backends.docker.engine import Engine
from gyoza_tui.models.limits import MIB

_OK: Final = b"HTTP/1.0 200 OK\r\n"
VERSION: Final = _OK + b'\r\n{"ApiVersion": "1.41"}'
PONG: Final = _OK + b"\r\nOK"
SIZE: Final = 100_000


def _described(size: int) -> bytes:
    return b"X-Docker-Container-Path-Stat: " + base64.b64encode(json.dumps({"mode": 0o644, "size": size}).encode())


def _packed(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("f")
        info.size, info.type, info.linkname = size, kind, "g"
        tar.addfile(info, io.BytesIO(bytes(size)))
    return archive.getvalue()


@contextmanager
def _engine(path: Path, *answers: bytes) -> Iterator[Engine]:
    """One that gives these answers, one a connection, and is gone after them."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            with suppress(OSError):  # whoever asked may have had enough
                for number, answer in enumerate(answers, 1):
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        if number == len(answers):
                            listening.close()
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        engine = Engine({"DOCKER_HOST": f"unix://{path}"})
        yield engine
        engine.close()


def test_an_archive_is_unpacked(tmp_path: Path) -> None:
    answer = _OK + _described(SIZE) + b"\r\n\r\n" + _packed(SIZE)
    with _engine(tmp_path / "s", VERSION, answer) as engine:
        assert fetch(engine, "c", "f", SIZE) == bytes(SIZE)


def test_an_engine_that_dies_while_it_sends_is_no_fault_of_the_op(tmp_path: Path) -> None:
    answer = _OK + _described(SIZE) + b"\r\n\r\n" + _packed(SIZE)[: SIZE // 2]
    with _engine(tmp_path / "s", VERSION, answer) as engine, pytest.raises(BackendUnavailable):
        fetch(engine, "c", "f", SIZE)


@pytest.mark.parametrize("packed", [_packed(SIZE)[: SIZE // 2], _packed(SIZE + 1), _packed(SIZE - 1), b""])
def test_an_archive_of_another_size_is_of_a_file_that_changed(tmp_path: Path, packed: bytes) -> None:
    answer = _OK + _described(SIZE) + b"\r\n\r\n" + packed
    with (
        _engine(tmp_path / "s", VERSION, answer, PONG) as engine,
        pytest.raises(FileRefused, match="f changed while it was read"),
    ):
        fetch(engine, "c", "f", SIZE)


def test_what_comes_beyond_a_file_is_not_read(tmp_path: Path) -> None:
    answer = _OK + _described(SIZE) + b"\r\n\r\n" + _packed(32 * MIB)
    with _engine(tmp_path / "s", VERSION, answer, PONG) as engine:
        tracemalloc.start()
        try:
            with pytest.raises(FileRefused, match="f changed while it was read"):
                fetch(engine, "c", "f", SIZE)
            assert tracemalloc.get_traced_memory()[1] < 8 * MIB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_an_archive_of_something_else_is_of_a_file_that_changed(tmp_path: Path, kind: bytes) -> None:
    answer = _OK + _described(0) + b"\r\n\r\n" + _packed(0, kind)
    with (
        _engine(tmp_path / "s", VERSION, answer) as engine,
        pytest.raises(FileRefused, match="f changed while it was read"),
    ):
        fetch(engine, "c", "f", SIZE)


@pytest.mark.parametrize("stat", [b"", b"X-Docker-Container-Path-Stat: ?", b"X-Docker-Container-Path-Stat: e30="])
def test_an_engine_that_does_not_describe_a_file_is_no_fault_of_the_op(tmp_path: Path, stat: bytes) -> None:
    answer = _OK + (stat + b"\r\n" if stat else b"") + b"\r\n" + _packed(1)
    with (
        _engine(tmp_path / "s", VERSION, answer) as engine,
        pytest.raises(BackendError, match="does not say what kind of file"),
    ):
        fetch(engine, "c", "f", SIZE)
