"""A screen on a worker in another process."""

from __future__ import annotations

import pytest

from gyoza_tui.worker.view.control import Contact
from tests.ui.picture import SMALL, WIDE, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

_TO_TRAIN = ("j", "j", "j")
_WELL = Contact()
_SILENT = Contact(silent_s=12.0)
_ENDED = Contact(ended="drained")


def test_well(snap_compare: SnapCompare) -> None:
    """As the worker's own screen, but for two words in grey before its name: attached to."""
    snap_compare(picture(load("busy"), WIDE, *_TO_TRAIN, contact=_WELL))


@pytest.mark.parametrize("size", [WIDE, SMALL, (30, 8), (20, 3)], ids=["wide", "small", "tiny", "line"])
def test_silent(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """All is grey and where it was; in the place of the keys a red line: since when, and that q leaves. Less of it
    where there is less room; the badge is there in the smallest."""
    snap_compare(picture(load("busy"), size, contact=_SILENT))


def test_silent_run(snap_compare: SnapCompare) -> None:
    """The run's screen in grey, log and all; the red line says that q goes back."""
    snap_compare(picture(load("busy"), (110, 40), *_TO_TRAIN, "enter", contact=_SILENT))


def test_ended(snap_compare: SnapCompare) -> None:
    """Grey, with an amber line: how the worker has ended, and that its next start is shown here."""
    snap_compare(picture(load("busy"), SMALL, contact=_ENDED))


def test_leave(snap_compare: SnapCompare) -> None:
    """Leave the screen is first and highlighted; it says that the worker goes on."""
    snap_compare(picture(load("busy"), SMALL, "q", contact=_WELL))
