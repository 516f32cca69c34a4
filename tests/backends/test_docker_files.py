"""Reading the op's directory while the op plays with it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gyoza_tui.backends.docker.files import fetch_bound, put_bound
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
    outcomes = set()
    try:
        for _ in range(3000):
            try:
                data = fetch_bound(box, "f", 1 << 20)
            except ValueError as error:
                outcomes.add(str(error).split(":")[1][:12])
                continue
            assert data is None or data in (b"a" * 200_000, b"b" * 200_000)
            outcomes.add("read")
    finally:
        stop.set()
        swapper.join()
    assert "read" in outcomes
    assert len(outcomes) > 1


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    stop = threading.Event()
    (tmp_path / "f").write_bytes(b"x" * 1000)

    def grow() -> None:
        with (tmp_path / "f").open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x" * 1000)

    def refused() -> bool:
        try:
            fetch_bound(tmp_path, "f", 1 << 30)
        except ValueError as error:
            return "changed" in str(error)
        return False

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        until(refused, "a read while it grows")
    finally:
        stop.set()
        writer.join()


def test_a_directory_that_became_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "f").write_text("secret")
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises((ValueError, OSError)):
        fetch_bound(tmp_path / "run", "f", 100)


def test_inputs_replace_a_link_rather_than_write_through_it(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    box = tmp_path / "box"
    box.mkdir()
    (box / "input.json").symlink_to(target)
    put_bound(box, {"input.json": b"{}"})
    assert target.read_text() == "kept"
    assert (box / "input.json").read_bytes() == b"{}"
    assert (box / "input.json").stat().st_mode & 0o777 == 0o644
