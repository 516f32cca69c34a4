"""Reading a directory while an op plays with it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gyoza_tui.backends.base import BackendUnavailable, FileRefused
from gyoza_tui.backends.hostile_directory import fetch, put
from gyoza_tui.backends.local import shim
from gyoza_tui.backends.local.control import Control
from tests.waiting import until


def test_a_file_swapped_while_it_is_read_is_whole_or_refused(tmp_path: Path) -> None:
    """Between two regular files, a link to a secret, and a pipe that would block its reader for ever."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 1000)
    box = tmp_path / "box"
    box.mkdir()
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            new = box / "new"
            if turn % 4 == 0:
                new.symlink_to(secret)
            elif turn % 4 == 1:
                os.mkfifo(new)
            else:
                new.write_bytes(b"ab"[turn % 2 : turn % 2 + 1] * 200_000)
            new.rename(box / "f")

    swapper = threading.Thread(target=swap)
    swapper.start()
    outcomes: set[str] = set()
    rounds, ends_at = 0, time.monotonic() + 30
    try:
        while rounds < 3000 or not (outcomes >= {"read", "is a link", "is a pipe"} or time.monotonic() > ends_at):
            rounds += 1
            try:
                data = fetch(box, "f", 1 << 20)
            except FileRefused as error:
                outcomes.add(error.why.partition(",")[0])
                continue
            assert data is None or data in (b"a" * 200_000, b"b" * 200_000)
            outcomes.add("read")
    finally:
        stop.set()
        swapper.join()
    assert {"read", "is a link", "is a pipe"} <= outcomes


def test_a_file_that_is_written_over_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """With as many bytes as it has."""
    (tmp_path / "f").write_bytes(bytes(1 << 20))
    stop = threading.Event()

    def write() -> None:
        with (tmp_path / "f").open("r+b", buffering=0) as file:
            while not stop.is_set():
                os.pwrite(file.fileno(), b"x", 0)

    def refused() -> bool:
        try:
            fetch(tmp_path, "f", 1 << 20)
        except FileRefused as error:
            return error.why.startswith("changed while it was read")
        return False

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(refused, "a read while it is written over")
    finally:
        stop.set()
        writer.join()


def test_a_directory_that_became_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "f").write_text("secret")
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileRefused, match="f cannot be read: Not a directory"):
        fetch(tmp_path / "run", "f", 100)


def test_a_lease_keeps_no_reader_waiting(tmp_path: Path) -> None:
    """The kernel would hold the reader back until the lease ends, for 45 s unless the machine's owner has said less."""
    (tmp_path / "f").write_bytes(b"x")
    hold = (
        "import fcntl, signal\n"
        "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "with open('f', 'r+') as file:\n"
        "    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "    print('held', flush=True)\n"
        "    input()\n"
    )
    command = [sys.executable, "-I", "-S", "-c", hold]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        began = time.monotonic()
        with pytest.raises(FileRefused, match="f cannot be read: Resource temporarily unavailable"):
            fetch(tmp_path, "f", 100)
        assert time.monotonic() - began < 5
        holder.kill()


def test_inputs_replace_a_link_rather_than_write_through_it(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    box = tmp_path / "box"
    box.mkdir()
    (box / "input.json").symlink_to(target)
    umask = os.umask(0o077)
    try:
        put(box, {"input.json": b"{}"})
    finally:
        os.umask(umask)
    assert target.read_text() == "kept"
    assert (box / "input.json").read_bytes() == b"{}"
    assert (box / "input.json").stat().st_mode & 0o777 == 0o644


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """This process can open so many files more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(count):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            os.close(each)


@pytest.mark.parametrize("left", range(3))
def test_a_machine_without_descriptors_is_no_fault_of_the_file(tmp_path: Path, left: int) -> None:
    (tmp_path / "f").write_bytes(b"whole")
    with descriptors_left(left), pytest.raises(BackendUnavailable, match="Too many open files"):
        fetch(tmp_path, "f", 100)
    assert fetch(tmp_path, "f", 100) == b"whole"


@pytest.mark.parametrize("left", range(3))
def test_nor_is_it_the_end_of_a_local_attempt(tmp_path: Path, left: int) -> None:
    (tmp_path / shim.END).write_bytes(b"{}")
    with descriptors_left(left), pytest.raises(BackendUnavailable):
        Control(tmp_path).state()
