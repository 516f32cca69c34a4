"""The border round a backend: made at first use, and nothing but a BackendError comes across."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from gyoza_tui.backends.base import (
    Backend,
    BackendError,
    BackendUnavailable,
    Chunk,
    DiskFull,
    Exit,
    FileRefused,
    Handle,
    Output,
    Resume,
    Spec,
    Stream,
)
from gyoza_tui.backends.fault_border import Border, bordered
from tests.worker.fake_backend import FakeBackend

_MADE = """
import sys
from gyoza_tui.backends.docker import docker_config, place
from gyoza_tui.settings import load
from gyoza_tui.worker.runner import Worker
worker = Worker(load())
backends = {"docker", "gyoza_tui.backends.local.backend"}
assert not backends & sys.modules.keys(), "before anybody asks"
worker.parts.pool.close()
assert not backends & sys.modules.keys(), "only to be closed"
worker.parts.pool.check()
assert backends <= sys.modules.keys()
"""


def test_it_is_made_once_however_many_ask_at_once() -> None:
    made: list[Backend] = []
    together = threading.Barrier(8)

    def make() -> Backend:
        made.append(FakeBackend())
        return made[-1]

    backend = Border("docker", make)
    assert backend.name == "docker"
    backend.close()
    assert made == []

    def ask(_number: int) -> object:
        together.wait(10)
        return backend.capabilities

    with ThreadPoolExecutor(8) as askers:
        answers = list(askers.map(ask, range(8)))
    assert len(made) == 1
    assert all(answer is made[0].capabilities for answer in answers)


class Torn(Exception):
    """Of a kind that no caller of a backend knows."""


class TornOutput:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[Chunk]:
        yield Chunk(Stream.STDOUT, b"first")
        raise self._error

    def covers(self, end: Exit) -> bool:
        raise self._error

    def close(self) -> None:
        raise self._error


class TornBackend:
    """Every method of the protocol raises the same."""

    name = "torn"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*_arguments: object) -> Any:
            raise self._error

        if method in ("capabilities", "shares_op_dir"):
            raise self._error
        return call


HANDLE = {"name": "gyoza-r1-1-l1", "id": "abc"}
CALLS: dict[str, Callable[[Backend], object]] = {
    "capabilities": lambda backend: backend.capabilities,
    "check": lambda backend: backend.check(),
    "probe": lambda backend: backend.probe(Spec("gyoza-r1-1-l1", "op", Path("/runs/r1"))),
    "gpu_trouble": lambda backend: backend.gpu_trouble(),
    "disks": lambda backend: backend.disks(),
    "refuses": lambda backend: backend.refuses("op", {}),
    "ops": lambda backend: backend.ops(),
    "op_dir": lambda backend: backend.op_dir(Path("/runs/r1")),
    "shares_op_dir": lambda backend: backend.shares_op_dir,
    "may_submit": lambda backend: backend.may_submit("op"),
    "image_id": lambda backend: backend.image_id("op"),
    "pull": lambda backend: backend.pull("op", lambda _progress: None, threading.Event()),
    "create": lambda backend: backend.create(Spec("gyoza-r1-1-l1", "op", Path("/runs/r1"))),
    "put": lambda backend: backend.put(HANDLE, {}),
    "output": lambda backend: backend.output(HANDLE, None),
    "start": lambda backend: backend.start(HANDLE),
    "verify": lambda backend: backend.verify(HANDLE),
    "wait": lambda backend: backend.wait(HANDLE, 0),
    "state": lambda backend: backend.state(HANDLE),
    "started_at": lambda backend: backend.started_at(HANDLE),
    "stop": lambda backend: backend.stop(HANDLE, 0),
    "usage": lambda backend: backend.usage(HANDLE),
    "owner": lambda backend: backend.owner(1, [HANDLE]),
    "written": lambda backend: backend.written(HANDLE),
    "fetch": lambda backend: backend.fetch(HANDLE, "output.json", 1),
    "renewed": lambda backend: backend.renewed(HANDLE),
    "describe": lambda backend: backend.describe(HANDLE),
    "shell": lambda backend: backend.shell(HANDLE),
    "freeze": lambda backend: backend.freeze(HANDLE),
    "thaw": lambda backend: backend.thaw(HANDLE),
    "frozen": lambda backend: backend.frozen({}),
    "find": lambda backend: backend.find({}),
    "remove": lambda backend: backend.remove(HANDLE),
    "prune": lambda backend: backend.prune({}),
}
WITHOUT_ATTEMPT = {
    "capabilities", "check", "gpu_trouble", "disks", "refuses", "ops", "op_dir", "shares_op_dir", "may_submit",
    "image_id", "pull", "frozen", "find", "prune", "owner",
}  # fmt: skip


def _torn(error: Exception) -> tuple[Backend, list[tuple[str, Exception]]]:
    reported: list[tuple[str, Exception]] = []
    return bordered(cast(Backend, TornBackend(error)), lambda text, fault: reported.append((text, fault))), reported


def test_the_calls_tried_here_are_all_of_the_protocol() -> None:
    methods = {name for name in vars(Backend) if not name.startswith("_")} - {"name", "close"}
    assert methods == set(CALLS)


@pytest.mark.parametrize("call", CALLS)
def test_whatever_a_call_raises_is_a_backend_error_with_its_words(call: str) -> None:
    fault = Torn("half a file")
    backend, reported = _torn(fault)
    for _ in range(3):
        with pytest.raises(BackendError) as raised:
            CALLS[call](backend)
    assert f"torn: {call}" in str(raised.value)
    assert "Torn: half a file" in str(raised.value)
    assert (HANDLE["name"] in str(raised.value)) == (call not in WITHOUT_ATTEMPT)
    assert reported == [(str(raised.value), fault)], "once, with the exception for its traceback"


def test_what_the_protocol_documents_comes_across_as_it_is() -> None:
    for error, call in ((BackendUnavailable("away"), "state"), (FileRefused("output.json", "is a link"), "fetch")):
        backend, reported = _torn(error)
        with pytest.raises(type(error)) as raised:
            CALLS[call](backend)
        assert raised.value is error
        assert reported == []


def test_a_full_disk_keeps_its_meaning() -> None:
    backend, _ = _torn(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/state/local"))
    with pytest.raises(DiskFull, match="the disk of /state/local is full"):
        backend.put(HANDLE, {})


def test_an_output_that_tears_is_a_backend_error_after_what_came() -> None:
    fault = Torn("no frame")

    class WithOutput(FakeBackend):
        def output(self, handle: Handle, resume: Resume | None) -> Output:
            return TornOutput(fault)

    reported: list[str] = []
    output = bordered(WithOutput(), lambda text, _error: reported.append(text)).output(HANDLE, None)
    chunks = iter(output)
    assert next(chunks).data == b"first"
    with pytest.raises(BackendError, match="docker: output gyoza-r1-1-l1 failed unexpectedly: Torn: no frame"):
        next(chunks)
    with pytest.raises(BackendError, match="covers gyoza-r1-1-l1 failed unexpectedly: Torn: no frame"):
        output.covers(Exit(0))
    with pytest.raises(BackendError, match="no frame"):
        output.close()
    assert len(reported) == 3


def test_a_backend_that_cannot_be_made_or_closed_is_a_backend_error() -> None:
    def none() -> Backend:
        raise Torn("no library")

    unmade = Border("docker", none)
    for _ in range(2):
        with pytest.raises(BackendError, match="docker: check failed unexpectedly: Torn: no library"):
            unmade.check()
    unmade.close()
    backend, _ = _torn(Torn("half a file"))
    with pytest.raises(BackendError):
        backend.check()
    with pytest.raises(BackendError, match="torn: close failed unexpectedly: Torn: half a file"):
        backend.close()


def test_only_so_many_messages_are_remembered() -> None:
    backend, reported = _torn(Torn("half a file"))
    for number in [*range(300), 0]:
        with pytest.raises(BackendError):
            backend.image_id(f"op:{number}")
    assert len(reported) == 301, "the first one is told anew"


def test_a_border_is_not_put_round_another() -> None:
    border = Border("docker", FakeBackend)
    assert bordered(border, lambda _text, _error: None) is border


def test_a_worker_starts_without_what_its_backends_take(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", _MADE],
        env={"HOME": str(tmp_path), "GYOZA_STATE_DIR": str(tmp_path), "PATH": ""},
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
