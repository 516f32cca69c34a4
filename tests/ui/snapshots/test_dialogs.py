"""What opens over a screen. In every question the safe choice is highlighted."""

from __future__ import annotations

import pytest

from tests.ui.picture import SMALL, WIDE, Shown, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

_TO_TRAIN = ("j", "j", "j")
_TO_A_FAILED_ONE = ("u",)


def test_cancel(snap_compare: SnapCompare) -> None:
    """The question names run, op and age; Keep it running is highlighted; the list is still to be seen behind."""
    snap_compare(picture(load("busy"), SMALL, *_TO_TRAIN, "x"))


def test_cancel_all(snap_compare: SnapCompare) -> None:
    """The four runs by name; Keep them running is highlighted."""
    snap_compare(picture(load("busy"), SMALL, then=lambda shown: _act(shown, "cancel_all")))


def test_release(snap_compare: SnapCompare) -> None:
    """What becomes of the run: it starts anew, here or elsewhere; Keep it running is highlighted."""
    snap_compare(picture(load("busy"), SMALL, *_TO_TRAIN, then=lambda shown: _act(shown, "screen.release")))


def test_retry(snap_compare: SnapCompare) -> None:
    """The failed run by name; that it may go to another worker; Leave it as it is highlighted."""
    snap_compare(picture(load("busy"), SMALL, *_TO_A_FAILED_ONE, "r"))


def test_drain(snap_compare: SnapCompare) -> None:
    """What will finish, by name; that D undoes it; Go on claiming is highlighted."""
    snap_compare(picture(load("busy"), SMALL, "D"))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_leave(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """Five ways, each with what becomes of the worker and its four runs; Stay is highlighted."""
    snap_compare(picture(load("busy"), size, "q"))


def test_help(snap_compare: SnapCompare) -> None:
    """The focused panel's keys first, then all others; nothing is cut off at the right."""
    snap_compare(picture(load("busy"), (100, 60), "question_mark"))


def test_palette(snap_compare: SnapCompare) -> None:
    """What was typed, and the actions it names, each with its sentence."""
    snap_compare(picture(load("busy"), SMALL, "colon", *"canc"))


async def _act(shown: Shown, action: str) -> None:
    await shown.app.run_action(action)
