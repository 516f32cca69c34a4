"""The filter grammar of run lists, on the screen and on the command line: `state:failed op:train since:1h text`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Every condition must hold; the empty filter lets everything through."""

    words: tuple[str, ...] = ()


class FilterError(ValueError):
    """A filter that cannot be understood; `str()` says what and what is allowed."""


def parse(text: str) -> RunFilter:
    """The filter that a person wrote. Raises FilterError."""
    return RunFilter(tuple(text.lower().split()))
