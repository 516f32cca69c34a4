"""The feeds of topics."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from gyoza_tui.models.limits import CLAIM_WAIT_S_MAX
from gyoza_tui.models.runs import TopicEvent
from gyoza_tui.server import cursors, feed
from gyoza_tui.server.routes.answers import Shared, refusals, reply_list
from gyoza_tui.server.routes.hang_up import hung_up
from gyoza_tui.server.strict_json import StrictRoute

router = APIRouter(tags=["topics"], route_class=StrictRoute)


@router.get("/topics/{topic}/events", response_model=list[TopicEvent], responses=refusals(400, 410))
async def topic_events(
    shared: Shared,
    request: Request,
    topic: Annotated[str, Path(examples=["classify-batch"])],
    after: Annotated[str | None, Query(description="The `X-Next-Cursor` of the answer before.")] = None,
    wait_s: Annotated[float, Query(ge=0, le=CLAIM_WAIT_S_MAX, description="Wait so long for a first event.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """The events of every run of that topic, in order; of PROGRESS those that its timeline still has. The cursor always
    comes, so that the feed can be followed."""
    server_id = shared.database.server_id
    position = 0 if after is None else cursors.decode("topic", server_id, after)

    def page(connection: Connection) -> tuple[bool, Response]:
        found, last = feed.page(connection, topic, position, limit)
        return bool(found), reply_list(list[TopicEvent], found, cursors.encode("topic", server_id, last))

    news = shared.feeds.wait([topic])
    gone = asyncio.create_task(hung_up(request))
    try:
        found, answer = await shared.read(page)
        if not found and wait_s > 0 and not shared.feeds.stopping:
            waiting: set[asyncio.Future[Any]] = {news, gone}
            await asyncio.wait(waiting, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            _, answer = await shared.read(page)
    finally:
        gone.cancel()
        shared.feeds.forget([topic], news)
    return answer
