"""The known word that a mistyped one is nearest to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_ALIKE: Final = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """One that begins with it, or the most alike; None where none is alike."""
    words = {each.casefold(): each for each in known}
    folded = word.casefold()
    begun = [each for each in words if folded and each.startswith(folded)]
    near = begun or difflib.get_close_matches(folded, words, n=1, cutoff=_ALIKE)
    return words[near[0]] if near else None


def did_you_mean(near: str | None) -> str:
    """For the end of a sentence about a word that is none."""
    return f" (did you mean {near}?)" if near else ""
