"""Which match to go to."""

from __future__ import annotations

import pytest

from gyoza_tui.ui.widgets.log_view.goal import Goal, match_at
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.worker.view.control import LogHits, LogQuery


def found(*lines: int, origin: int = 0, complete: bool = True) -> Search:
    search = Search(LogQuery("x"), "x", origin)
    search.take(LogHits(tuple(line for line in lines if line >= origin), None), backwards=False)
    if complete:
        search.take(LogHits(tuple(line for line in lines if line < origin), None), backwards=True)
    return search


@pytest.mark.parametrize(
    ("goal", "place", "line"),
    [
        (Goal.NEXT, 10, 20),
        (Goal.NEXT, 30, 10),
        (Goal.PREVIOUS, 20, 10),
        (Goal.PREVIOUS, 10, 30),
        (Goal.NEAREST, 0, 20),
    ],
)
def test_it_goes_on_at_the_other_end(goal: Goal, place: int, line: int) -> None:
    assert match_at(goal, found(10, 20, 30, origin=15), place, None) == line


def test_the_nearest_is_above_where_nothing_is_below() -> None:
    assert match_at(Goal.NEAREST, found(10, 12, origin=15), 0, None) == 12


def test_it_waits_for_the_other_end_until_all_was_looked_through() -> None:
    assert match_at(Goal.NEXT, found(20, origin=15, complete=False), 20, None) is None


def test_what_is_left_out_is_not_gone_to() -> None:
    assert match_at(Goal.NEXT, found(10, 20, 30), 10, found(30)) == 30


def test_no_match_is_none() -> None:
    assert match_at(Goal.NEXT, found(), 10, None) is None
