"""Matches in order and counted, however they are found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.worker.view.control import LogHits, LogQuery

QUERY = LogQuery("x")


def hits(numbers: list[int], line: int, size: int, *, backwards: bool, total: int) -> LogHits:
    """One slice of `size` lines, as a log would answer."""
    if backwards:
        begin = max(0, line - size)
        return LogHits(tuple(n for n in numbers if begin <= n < line), begin or None)
    end = line + size
    return LogHits(tuple(n for n in numbers if line <= n < end), end if end < total else None)


@given(st.sets(st.integers(0, 99)), st.integers(0, 99), st.integers(1, 40), st.integers(0, 60))
def test_every_match_is_there_once_and_in_order(found: set[int], origin: int, size: int, first: int) -> None:
    numbers = sorted(found)
    search = Search(QUERY, "x", origin)
    total = max(origin + 1, first)
    while not search.complete:
        following = search.next_slice()
        assert following is not None
        line, backwards = following
        there = [n for n in numbers if n < total]
        search.take(hits(there, line, size, backwards=backwards, total=total), backwards=backwards)
        if search.complete and total < 100:
            search.grown(total - 1)
            total = 100
    assert [search.at(i) for i in range(len(search))] == numbers
    for n in range(100):
        assert search.index(n) == sum(each < n for each in numbers)
        assert search.holds(n) == (n in found)
        assert search.after(n) == min((each for each in numbers if each > n), default=None)
        assert search.before(n) == max((each for each in numbers if each < n), default=None)


def test_it_looks_below_and_above_in_turn() -> None:
    search = Search(QUERY, "x", 500)
    looked = []
    for _ in range(6):
        following = search.next_slice()
        assert following is not None
        line, backwards = following
        looked.append((line, backwards))
        search.take(hits([], line, 100, backwards=backwards, total=700), backwards=backwards)
    assert looked == [(500, False), (500, True), (600, False), (400, True), (300, True), (200, True)]
