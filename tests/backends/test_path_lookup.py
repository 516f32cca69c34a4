"""Paths are followed as the kernel does, and what decided where they lead is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.backends.path_lookup import look_up


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "relative").symlink_to("a/b")
    (tmp_path / "a" / "up").symlink_to("../relative")
    (tmp_path / "absolute").symlink_to(tmp_path / "a" / "up")
    (tmp_path / "a" / "file").touch()
    return tmp_path.resolve()


@pytest.mark.parametrize(
    "path",
    ["a", "a/b", "relative", "a/up", "absolute", "absolute/none/more", "a/file", "a/file/x", "none", "", "a/../a"],
)
def test_it_ends_where_the_kernel_ends(root: Path, path: str) -> None:
    assert look_up(root / path).real == (root / path).resolve()


def test_all_that_decided_it_is_known(root: Path) -> None:
    passed = look_up(root / "absolute").passed
    for name in ("absolute", "a", "a/up", "relative", "a/b"):
        assert root / name in passed
    assert look_up(root / "absolute").enters(root)
    assert look_up(root / "absolute").enters(root / "a")
    assert not look_up(root / "absolute").enters(root / "a" / "b"), "who may only write in it cannot replace it"
    assert not look_up(root / "a").enters(root / "a")


def test_links_in_a_circle(root: Path) -> None:
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    with pytest.raises(OSError, match="Too many levels"):
        look_up(root / "one")
