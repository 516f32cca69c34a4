"""The feeds of topics."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from gyoza_tui.models.limits import CLAIM_WAIT_S_MAX
from gyoza_tui.models.runs import TopicEvent
from gyoza_tui.server import cursors, feed
from gyoza_tui.server.routes.answers import TheHub, refusals, reply_list
from gyoza_tui.server.routes.hang_up import hung_up
from gyoza_tui.server.strict_json import StrictRoute

router = APIRouter(tags=["topics"], route_class=StrictRoute)


@router.get("/topics/{topic}/events", response_model=list[TopicEvent], responses=refusals(400, 410))
async def topic_events(
    hub: TheHub,
    request: Request,
    topic: Annotated[str, Path(examples=["classify-batch"])],
    after: Annotated[str | None, Query(description="The `X-Next-Cursor` of the answer before.")] = None,
    wait_s: Annotated[float, Query(ge=0, le=CLAIM_WAIT_S_MAX, description="Wait so long for a first event.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """Every event of every run of that topic, in order. The cursor always comes, so that the feed can be followed."""
    server_id = hub.database.server_id
    position = 0 if after is None else cursors.decode("topic", server_id, after)
    news = hub.feeds.wait(topic)
    gone = asyncio.create_task(hung_up(request))
    try:
        found, last = await hub.read(lambda c: feed.page(c, topic, position, limit))
        if not found and wait_s > 0 and not hub.feeds.stopping:
            await asyncio.wait({news, gone}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            found, last = await hub.read(lambda c: feed.page(c, topic, position, limit))
    finally:
        gone.cancel()
        hub.feeds.forget(topic, news)
    return reply_list(list[TopicEvent], found, cursors.encode("topic", server_id, last))
