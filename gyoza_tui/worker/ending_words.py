"""How an attempt ended, in the few words that a run list has room for."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydantic import ValidationError

from gyoza_tui.models.ansi import without_escapes
from gyoza_tui.models.failures import Failure
from gyoza_tui.models.runs import EventReport
from gyoza_tui.models.states import EventType
from gyoza_tui.models.text import visible

_NOTE_MAX: Final = 300
_LINE_MAX: Final = 200


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
        return EndingWords(failure.words[:_NOTE_MAX], _last_line(failure.log_tail))
    return EndingWords(note)


def _last_line(log_tail: str) -> str:
    """The last one that says something; of a progress bar, what it last showed."""
    for line in reversed(without_escapes(log_tail).splitlines()):
        if said := line.strip():
            return visible(said)[:_LINE_MAX]
    return ""
