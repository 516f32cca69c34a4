"""Workers: heartbeats, claims, good-byes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import (
    ClaimRequest,
    HeartbeatReply,
    HeartbeatRequest,
    Wanted,
    WantedRequest,
    WorkerView,
)
from gyoza_tui.server import placing, roles, wanted_state, worker_views, workers
from gyoza_tui.server.claims import OpenClaim
from gyoza_tui.server.routes.answers import Shared, refusals, reply, reply_list
from gyoza_tui.server.routes.examples import BEAT, CLAIM, WANTED
from gyoza_tui.server.routes.hang_up import hung_up
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.strict_json import READ, StrictRoute

router = APIRouter(tags=["workers"], route_class=StrictRoute)

WorkerId = Annotated[str, Path(description="The worker's name.", examples=["gpu-box-1"])]


@router.post("/workers/heartbeat", response_model=HeartbeatReply, responses=refusals(409))
async def heartbeat(shared: Shared, request: Annotated[HeartbeatRequest, READ, Body(examples=[BEAT])]) -> Response:
    """Register a worker, or say that it is alive and what it runs; the answer has a verdict for each of its runs."""
    return reply(await shared.change(lambda tx: workers.beat(shared, tx, request)))


@router.post("/workers/{worker_id}/claim", response_model=list[OpRun], responses=refusals(404, 409))
async def claim(
    shared: Shared, http: Request, worker_id: WorkerId, request: Annotated[ClaimRequest, READ, Body(examples=[CLAIM])]
) -> Response:
    """Runs now ASSIGNED to this worker, each with attempt, lease and its attempt's constraints. Waits up to `wait_s`;
    an early empty answer means: beat, then claim at once."""
    return reply_list(list[OpRun], await _claimed(shared, http, shared.claims.new(worker_id, request)))


async def _claimed(shared: SharedState, http: Request, open_claim: OpenClaim) -> list[OpRun]:
    gone = asyncio.create_task(_ended_by_hang_up(http, open_claim))
    try:
        await shared.change(lambda tx: placing.open_claim(shared, tx, open_claim))
        waiting: set[asyncio.Future[Any]] = {open_claim.answered, gone}
        await asyncio.wait(waiting, timeout=open_claim.request.wait_s, return_when=asyncio.FIRST_COMPLETED)
        if open_claim.end():
            return []
        # the right to answer is taken: by the hang-up, or by the writer, whose commit is under way
        return [] if gone.done() and not open_claim.answered.done() else await open_claim.answered
    finally:
        open_claim.end()
        gone.cancel()
        shared.claims.remove(open_claim)


async def _ended_by_hang_up(http: Request, open_claim: OpenClaim) -> None:
    await hung_up(http)
    open_claim.end()


@router.get("/workers", response_model=list[WorkerView], responses=refusals())
async def list_workers(shared: Shared) -> Response:
    """All workers known, with what each has free."""
    return await shared.read(lambda c: reply_list(list[WorkerView], worker_views.views(shared, c)))


@router.get("/workers/{worker_id}", response_model=WorkerView, responses=refusals(404))
async def get_worker(shared: Shared, worker_id: WorkerId) -> Response:
    """One worker."""
    return reply(await shared.read(lambda c: worker_views.view(shared, c, worker_id)))


@router.patch("/workers/{worker_id}", response_model=Wanted, responses=refusals(404, 409))
async def want_state(
    shared: Shared,
    http: Request,
    worker_id: WorkerId,
    request: Annotated[WantedRequest, READ, Body(examples=[WANTED])],
) -> Response:
    """Have a worker pause, drain or claim again. This holds until another state is wanted, also for a worker that is
    started again; a drain becomes `paused` when the worker has ended. `GET /workers` has what the worker made of it."""
    by = request.by or roles.words_of(http)
    return reply(await shared.change(lambda tx: wanted_state.want(shared, tx, worker_id, request.wanted, by)))


@router.delete("/workers/{worker_id}", status_code=204, responses=refusals(404, 409))
async def delete_worker(
    shared: Shared,
    worker_id: WorkerId,
    instance_id: Annotated[str | None, Query(description="Whose good-bye it is.")] = None,
) -> Response:
    """A clean good-bye by the worker's own instance (or of a silent worker by anybody): its runs go back at once."""
    await shared.change(lambda tx: workers.good_bye(shared, tx, worker_id, instance_id))
    return Response(status_code=204)
