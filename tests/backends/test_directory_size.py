"""How much of a disk a directory takes that an op has filled."""

from __future__ import annotations

import os
from pathlib import Path

from gyoza_tui.backends.directory_size import allocated
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.state_dir.removal import remove_tree


def _file(path: Path, megabytes: int) -> None:
    path.write_bytes(os.urandom(megabytes * MIB))


def test_files_of_all_levels_count_and_what_is_elsewhere_does_not(tmp_path: Path) -> None:
    root, outside = tmp_path / "op", tmp_path / "outside"
    (root / "a" / "b").mkdir(parents=True)
    outside.mkdir()
    _file(root / "one", 1)
    _file(root / "a" / "b" / "two", 2)
    _file(outside / "not", 3)
    (root / "link").symlink_to(outside)
    (root / "loop").symlink_to(root)
    os.link(outside / "not", root / "shared")
    os.truncate(root / "one", 50 * MIB)
    os.mkfifo(root / "pipe")
    assert round(allocated(root) / MIB, 1) == 4.5, "of a file with a second name outside half"
    assert allocated(tmp_path / "missing") == 0
    assert allocated(root / "link") == 0


def test_a_tree_of_any_depth_is_counted_with_few_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    fd = os.open("deep", os.O_WRONLY | os.O_CREAT, dir_fd=folder)
    os.write(fd, os.urandom(9 * MIB))
    os.close(fd)
    os.close(folder)
    names = allocated(tmp_path) // MIB
    assert names >= 9
    assert len(os.listdir("/proc/self/fd")) == before
    remove_tree(tmp_path / "d")  # pytest's own clean-up is a recursion
