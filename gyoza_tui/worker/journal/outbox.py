"""A report that waits for the server."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from gyoza_tui.models.runs import EventReport, RunPatch
from gyoza_tui.models.states import EVENT_STATE, EventType


class OutboxKind(StrEnum):
    EVENT = "event"
    PATCH = "patch"

    @classmethod
    def of(cls, report: EventReport | RunPatch) -> OutboxKind:
        return cls.EVENT if isinstance(report, EventReport) else cls.PATCH


class OutboxRow(NamedTuple):
    id: int
    run: int
    """The journal key of its run."""
    seq: int
    report: EventReport | RunPatch
    tried: int
    """How often it was about to be sent: with more than 0 its outcome may be unknown."""

    @classmethod
    def load(cls, id: int, run: int, seq: int, kind: str, body: str, tried: int) -> OutboxRow:  # noqa: A002
        if not (isinstance(seq, int) and isinstance(tried, int)):
            raise TypeError("its numbers are not what was written there")
        model = EventReport if OutboxKind(kind) is OutboxKind.EVENT else RunPatch
        return cls(id, run, seq, model.model_validate_json(body), tried)

    @property
    def event(self) -> EventReport | None:
        return self.report if isinstance(self.report, EventReport) else None

    @property
    def moves_state(self) -> bool:
        return self.event is None or self.event.type in EVENT_STATE

    @property
    def starts_run(self) -> bool:
        return self.event is not None and self.event.type is EventType.STARTED

    @property
    def ends_run(self) -> bool:
        """Whether its acknowledgement is the end of the attempt: a terminal event, or the run given back."""
        return self.moves_state and not self.starts_run
