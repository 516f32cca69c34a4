"""What is mounted, as the kernel tells it of any process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.backends import mount_table
from gyoza_tui.backends.docker import staging
from tests.waiting import until

needs_root = pytest.mark.skipif(not staging.may_mount(), reason="mounting needs root")


def _what(path: Path) -> mount_table.Mounted:
    descriptor = os.open(path, os.O_PATH)
    try:
        return mount_table.what_is_open(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A directory, and where it is seen once more; with names that the kernel escapes."""
    source, at = tmp_path / "a b\n\\c \udcff", tmp_path / "shown"
    (source / "inner").mkdir(parents=True)
    at.mkdir()
    subprocess.run(["mount", "--bind", source, at], check=True)
    yield source, at
    subprocess.run(["umount", at], check=True)


@needs_root
def test_one_directory_is_the_same_wherever_it_is_seen(mounted: tuple[Path, Path]) -> None:
    source, at = mounted
    assert _what(at) == _what(source)
    assert _what(at / "inner") == _what(source / "inner") != _what(source)
    (shown,) = (mount for mount in mount_table.mounts() if mount.at == str(at))
    assert shown.what == _what(source)
    moved = source.rename(source.with_name("moved"))
    assert _what(at) == _what(moved)


def test_another_process_shares_our_mounts_or_has_its_own() -> None:
    assert mount_table.shares_mounts(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as child:
        assert mount_table.shares_mounts(child.pid)
        child.kill()
    assert not mount_table.shares_mounts(child.pid)


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_process_with_mounts_of_its_own() -> None:
    with subprocess.Popen(["unshare", "--mount", "sleep", "60"]) as child:
        until(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n", "its own mounts")
        assert not mount_table.shares_mounts(child.pid)
        child.kill()
