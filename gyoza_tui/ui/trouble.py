"""What came of a question to the worker, where that is no answer."""

from __future__ import annotations


def in_words(error: Exception) -> str:
    """Of ControlError or KeyError; as it came from outside."""
    return "the worker does not know this attempt any more" if isinstance(error, KeyError) else str(error)
