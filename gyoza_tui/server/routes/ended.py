"""The ends of runs, for those who wait for them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from gyoza_tui.models.runs import Ended, EndedRequest
from gyoza_tui.server import ends
from gyoza_tui.server.routes.answers import Shared, refusals, reply
from gyoza_tui.server.routes.examples import ENDED
from gyoza_tui.server.routes.hang_up import hung_up
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.strict_json import READ, StrictRoute

router = APIRouter(tags=["runs"], route_class=StrictRoute)


@router.post("/ended", response_model=Ended, responses=refusals())
async def ended(
    shared: Shared, http: Request, request: Annotated[EndedRequest, READ, Body(examples=[ENDED])]
) -> Response:
    """Which of the runs named, or of the children of the parents named, have ended. Waits up to `wait_s` for a first
    one; an early empty answer means: ask again at once. Ask for the outputs by `GET /runs/{run_id}`."""
    gone = asyncio.create_task(hung_up(http))
    try:
        return reply(await _first_ends(shared, request, gone))
    finally:
        gone.cancel()


async def _first_ends(shared: SharedState, request: EndedRequest, gone: asyncio.Task[None]) -> Ended:
    time = asyncio.get_running_loop().time
    deadline = time() + request.wait_s
    while True:
        with shared.ends.open(request) as news:
            found = await shared.read(partial(ends.found, request=request))
            if found.runs or time() >= deadline or shared.ends.stopping or gone.done():
                return found
            waiting: set[asyncio.Future[Any]] = {*news, gone}
            await asyncio.wait(waiting, timeout=deadline - time(), return_when=asyncio.FIRST_COMPLETED)
            if news.ends_the_wait:
                return found
