"""Which match to go to."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from gyoza_tui.ui.widgets.log_view.search import Search


class Goal(Enum):
    """A match that is gone to as soon as it is found."""

    NEAREST = "nearest"
    NEXT = "next"
    PREVIOUS = "previous"


def match_at(goal: Goal, search: Search, place: int, only: Search | None) -> int | None:
    """The line of that match, seen from `place`; None: there is none, or it is not found yet.

    The next one and the previous are among the lines that match `only` as well. At an end of the log it goes on at
    the other one.
    """
    match goal:
        case Goal.NEAREST:
            found = search.after(search.origin - 1)
            found = search.before(search.origin) if found is None else found
        case Goal.NEXT:
            found = _shown(place, search.after, only)
        case Goal.PREVIOUS:
            found = _shown(place, search.before, only)
    if found is None and search.complete and len(search):
        return search.at(len(search) - 1 if goal is Goal.PREVIOUS else 0)
    return found


def _shown(number: int, following: Callable[[int], int | None], only: Search | None) -> int | None:
    """The following match that is not left out."""
    found = following(number)
    while found is not None and only is not None and not only.holds(found):
        found = following(found)
    return found
