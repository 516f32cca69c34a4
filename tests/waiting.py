"""Waiting by predicate, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def until(predicate: Callable[[], _T | None], what: str, deadline_s: float = 20.0) -> _T:
    """The first true answer of `predicate`; fails the test in words when there is none in time."""
    ends = time.monotonic() + deadline_s
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > ends:
            raise AssertionError(f"not within {deadline_s:g} s: {what}; the last answer was {answer!r}")
        time.sleep(0.01)
