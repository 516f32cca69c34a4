"""Parents, their children, and what stands still."""

from __future__ import annotations

import pytest

from tests.ui.picture import SMALL, WIDE, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

_TO_PIPELINE = ("end", "home")
_OPEN_PIPELINE = (*_TO_PIPELINE, "enter")


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_list(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """The pipeline waits for 4 of 6; below it its children, below the shard its own; train frozen by anna."""
    snap_compare(picture(load("family"), size, *_TO_PIPELINE, "m"))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_children(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """All six children, the one that is HELD and no worker has too; progress bars of those that run."""
    snap_compare(picture(load("family"), size, *_OPEN_PIPELINE))


def test_cancel(snap_compare: SnapCompare) -> None:
    """That the children are cancelled too, and which of them are here; Keep it running is highlighted."""
    snap_compare(picture(load("family"), SMALL, *_TO_PIPELINE, "x"))


def test_parent_of_a_child(snap_compare: SnapCompare) -> None:
    """In ASCII: o has led from a child to its parent; the branches are + - and spaces."""
    snap_compare(picture(load("family"), SMALL, "j", "j", "o", ascii_only=True))
