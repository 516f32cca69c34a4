"""The log in its modes, all on one log that has everything."""

from __future__ import annotations

from tests.ui.picture import Shown, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

SIZE = (100, 30)
_TO_TUNE = ("j", "j")
_LOG = (*_TO_TUNE, "3", "m")
_MORE = 20


def test_follow(snap_compare: SnapCompare) -> None:
    """FOLLOW, and the last lines: wide characters whole, no escape sequence but colours, markup as it came, the last
    state of the progress bar, a long line with » at the edge, a red gutter at what came on stderr."""
    snap_compare(picture(load("busy"), SIZE, *_LOG))


def test_scrolled(snap_compare: SnapCompare) -> None:
    """The same lines as before 20 more came; the title says +20 new, and no longer FOLLOW."""
    snap_compare(picture(load("busy"), SIZE, *_LOG, "b", then=_grow))


def test_find(snap_compare: SnapCompare) -> None:
    """Every loss=0.07 highlighted, the one gone to in another colour; the title says which of how many."""
    snap_compare(picture(load("busy"), SIZE, *_LOG, "slash", *"loss=0.07", "enter", "n"))


def test_typing(snap_compare: SnapCompare) -> None:
    """While it is typed: the first match is on the screen already, the line to type into below."""
    snap_compare(picture(load("busy"), SIZE, *_LOG, "slash", *"Trace"))


def test_only(snap_compare: SnapCompare) -> None:
    """Only lines with 9/120, and how many."""
    snap_compare(picture(load("busy"), SIZE, *_LOG, "ampersand", *"9/120", "enter"))


def test_wrap(snap_compare: SnapCompare) -> None:
    """The long line over as many rows as it needs, nothing cut; no times, for t was pressed."""
    snap_compare(picture(load("busy"), SIZE, *_LOG, "t", "w"))


def test_sideways(snap_compare: SnapCompare) -> None:
    """Half a screen to the right: short lines are gone, the long one has begun before."""
    snap_compare(picture(load("busy"), SIZE, *_LOG, "right"))


async def _grow(shown: Shown) -> None:
    key = next(view.key for view in shown.fake.now.runs if view.op_definition == "tune")
    lines = shown.fake.lines[key]
    more = (lines[0]._replace(number=len(lines) + n, data=b"more %d" % n) for n in range(_MORE))
    shown.fake.lines[key] = (*lines, *more)
