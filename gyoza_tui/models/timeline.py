"""How the events of an attempt are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from gyoza_tui.models.runs import Event
from gyoza_tui.models.states import EventType


def folded(events: Iterable[Event]) -> Iterator[tuple[Event, Event]]:
    """The first and the last event of each line: consecutive PROGRESS are one line, any other event is its own."""
    for is_progress, group in groupby(events, key=lambda event: event.type is EventType.PROGRESS):
        if is_progress:
            first, *more = group
            yield first, more[-1] if more else first
        else:
            yield from ((event, event) for event in group)
