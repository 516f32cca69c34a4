"""The main screen in its sizes."""

from __future__ import annotations

import pytest

from tests.ui.picture import SMALL, WIDE, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

_TO_TRAIN = ("j", "j", "j")


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_no_gpu(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """One line says that there is no GPU, once; the empty list says that it waits for work; nothing is red."""
    snap_compare(picture(load("idle"), size))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_two_gpus(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """GPU 0 at 97 % with a rising history and its run, GPU 1 near idle; an image being pulled, a run that is cancelled
    and still there, two that run, one with 42 % and its log; the ended ones dim below; two failures in red."""
    snap_compare(picture(load("busy"), size, *_TO_TRAIN))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_eight_gpus(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """Wide: a line for each GPU, two of them free, GPU 2 amber for memory and heat. Small: all eight in one strip."""
    snap_compare(picture(load("gpus8"), size))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_shared_gpus(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """Amber what other programs use: next to the run of GPU 0, on GPU 1 with name, pid and user, on GPU 2 of none that
    the driver names."""
    snap_compare(picture(load("shared"), size))


def test_narrow(snap_compare: SnapCompare) -> None:
    """One panel, the run list, without key bar; the columns that are left are whole."""
    snap_compare(picture(load("busy"), (60, 20), *_TO_TRAIN))


def test_one_line(snap_compare: SnapCompare) -> None:
    """One line: badge, failures, how many runs."""
    snap_compare(picture(load("busy"), (29, 7)))
