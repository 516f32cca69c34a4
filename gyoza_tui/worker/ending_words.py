"""How an attempt ended, in the few words that a run list has room for."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydantic import ValidationError

from gyoza_tui.models.failures import Failure
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType

_NOTE_MAX: Final = 300


class EndingWords(NamedTuple):
    note: str
    last_line: str = ""
    """Of the output, without what is secret in it."""


def ending_words(note: str, report: EventReport | None) -> EndingWords:
    """Made from the report of the end; `note` where that says nothing, or there is none."""
    if report is not None and report.type is EventType.COMPLETED:
        return EndingWords(f"outputs: {len(report.payload or {})}")
    if report is not None and report.type is EventType.FAILED:
        try:
            failure = Failure.model_validate(report.payload)
        except ValidationError:
            return EndingWords(note)
        return EndingWords(failure.words[:_NOTE_MAX], failure.last_line)
    return EndingWords(note)
