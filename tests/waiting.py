"""Waiting by predicate, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

_T = TypeVar("_T")
_SHORTEST_S: Final = 0.01
_LONGEST_S: Final = 0.1


def until(predicate: Callable[[], _T | None], what: str, deadline_s: float = 20.0) -> _T:
    """The first true answer of `predicate`; fails the test in words when there is none in time.

    It asks less often the longer it waits: asking a server costs both sides more than a pause of 10 ms would leave
    to what is waited for.
    """
    began = time.monotonic()
    while True:
        answer = predicate()
        if answer:
            return answer
        waited = time.monotonic() - began
        if waited > deadline_s:
            raise AssertionError(f"not within {deadline_s:g} s: {what}; the last answer was {answer!r}")
        time.sleep(min(max(_SHORTEST_S, waited / 20), _LONGEST_S))
