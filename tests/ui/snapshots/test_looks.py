"""What must look right whatever is shown: few characters, strong colours, hostile words, many rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.hostile import hostile
from tests.ui.picture import SMALL, WIDE, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare
from tests.ui.svg import rows

_TO_TUNE = ("j", "j")
_HISTORY = 1000


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_ascii(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """As with two GPUs, with no character above 0x7e: meters of #, rules of -, + for what is well or done."""
    svg = picture(load("busy"), size, *_TO_TUNE, ascii_only=True)
    assert all(row.isascii() for row in rows(svg))
    snap_compare(svg)


def test_high_contrast(snap_compare: SnapCompare) -> None:
    """Strong colours on black; finished rows and empty parts of meters can be told as well as the rest."""
    snap_compare(picture(load("busy"), WIDE, *_TO_TUNE, theme="gyoza-contrast"))


def test_light(snap_compare: SnapCompare) -> None:
    """Dark on white; green, amber and red can be read on it."""
    snap_compare(picture(load("busy"), SMALL, *_TO_TUNE, theme="gyoza-light"))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_hostile_names(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """Markup as it came; escape sequences gone, control characters as pictures of them, bidi marks as \\u202e; every
    run one line, every column where its title is."""
    snap_compare(picture(hostile(load("busy")), size, *_TO_TUNE))


def test_hostile_run(snap_compare: SnapCompare) -> None:
    """The run's screen: the same words in no colour of their own, lines cut or wrapped inside the screen."""
    snap_compare(picture(hostile(load("busy")), (110, 40), "u", "enter"))


def test_thousand_finished_runs(snap_compare: SnapCompare) -> None:
    """The cursor on the last of a thousand rows, the scrollbar at its end, the columns as ever; runs go on above."""
    busy = load("busy")
    past = tuple(
        view._replace(key=1000 + n, run_id=f"{n:08x}")
        for n, view in enumerate(busy.past * (_HISTORY // len(busy.past) + 1))
    )[:_HISTORY]
    snap_compare(picture(replace(busy, past=past), WIDE, "end"))
