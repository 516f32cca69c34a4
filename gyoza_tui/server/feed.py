"""A topic's events, in the order in which they were stored."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from gyoza_tui.models.limits import MIB
from gyoza_tui.models.runs import TopicEvent
from gyoza_tui.models.states import EventType
from gyoza_tui.server import schema
from gyoza_tui.server.rows import event_of
from gyoza_tui.server.stored_json import place

PAGE_BYTES = 8 * MIB


def page(connection: Connection, topic: str, after: int, limit: int) -> tuple[list[TopicEvent], int]:
    """Events behind the position `after`, and the position of the last."""
    events, attempts = schema.events, schema.attempts
    same = (attempts.c.run_id == events.c.run_id) & (attempts.c.attempt == events.c.attempt)
    size = func.coalesce(func.length(attempts.c.outputs), 0) + func.coalesce(func.length(events.c.payload), 0)
    query = (
        select(events, size.label("size"))
        .join(attempts, same)
        .where(events.c.topic == topic, events.c.n > after)
        .order_by(events.c.n)
        .limit(limit)
    )
    found: list[TopicEvent] = []
    last, total = after, 0
    for row in connection.execute(query):
        total += row.size
        if found and total > PAGE_BYTES:
            break
        outputs = None
        if row.type == EventType.COMPLETED:
            where = (attempts.c.run_id == row.run_id) & (attempts.c.attempt == row.attempt)
            text = connection.execute(select(attempts.c.outputs).where(where)).scalar()
            outputs = None if text is None else place(text)
        event = event_of(row, outputs)
        found.append(TopicEvent(**dict(event), run_id=row.run_id, attempt=row.attempt))
        last = row.n
    return found, last
