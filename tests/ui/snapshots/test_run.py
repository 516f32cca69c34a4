"""The screen of one run, and what opens over it."""

from __future__ import annotations

from tests.ui.picture import WIDE, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

SIZE = (110, 40)
_OPEN_TRAIN = ("j", "j", "j", "enter")
_OPEN_FAILED = ("u", "enter")


def test_log(snap_compare: SnapCompare) -> None:
    """The head names state, run, op and age; the log fills the rest, its title the steps so far; it follows."""
    snap_compare(picture(load("busy"), SIZE, *_OPEN_TRAIN))


def test_run(snap_compare: SnapCompare) -> None:
    """Steps with times, the one it is in marked; events, inputs, the one attempt; here and server say RUNNING."""
    snap_compare(picture(load("busy"), SIZE, *_OPEN_TRAIN, "tab"))


def test_inspect(snap_compare: SnapCompare) -> None:
    """The engine's own words, and not one value of the environment: each is ***."""
    snap_compare(picture(load("busy"), SIZE, *_OPEN_TRAIN, "shift+tab"))


def test_why_it_failed(snap_compare: SnapCompare) -> None:
    """The reason in red, exit code and signal, the log's last line; ✗ stands at the step that failed, the container."""
    snap_compare(picture(load("busy"), SIZE, *_OPEN_FAILED))


def test_whole_line(snap_compare: SnapCompare) -> None:
    """The begin of a line of 20,000 x, wrapped over the screen; its number in the title, its time before it."""
    snap_compare(picture(load("busy"), WIDE, "j", "j", "3", "slash", *"xxxx", "enter", "enter"))
