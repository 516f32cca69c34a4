"""Runs and their timelines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import AwareDatetime
from sqlalchemy import Connection

from gyoza_tui.models import filters
from gyoza_tui.models.filters import RunFilter
from gyoza_tui.models.limits import FILTER_MAX
from gyoza_tui.models.runs import EventsAccepted, OpRun, RunRequest
from gyoza_tui.models.states import RunState
from gyoza_tui.server import creates, cursors, patches, reports, roles, run_list, runs
from gyoza_tui.server.errors import invalid
from gyoza_tui.server.received import ReceivedPatch, Reports
from gyoza_tui.server.routes.answers import Shared, refusals, reply, reply_created, reply_list, reply_run
from gyoza_tui.server.routes.examples import EVENT, EVENT_LIST, PATCHES, RUN
from gyoza_tui.server.run_list import Wanted
from gyoza_tui.server.server_time import to_micros
from gyoza_tui.server.strict_json import READ, StrictRoute

router = APIRouter(tags=["runs"], route_class=StrictRoute)

RunId = Annotated[str, Path(description="The run's `id`.", examples=["run_abc123"])]


@router.post("/runs", response_model=OpRun, status_code=201, responses=refusals(404, 409))
async def create_run(
    shared: Shared, http: Request, request: Annotated[RunRequest, READ, Body(examples=[RUN])]
) -> Response:
    """An ad hoc run. With an `id` of the client's choice a repeat answers the same run; another body is refused.
    With `parent`, an attempt that is RUNNING and its lease, it is created by that run and has its priority."""
    roles.check_create(http, request)
    return await reply_created(shared, lambda tx: creates.create(shared, tx, request))


@router.get("/runs", response_model=list[OpRun], responses=refusals(400, 410))
async def list_runs(
    shared: Shared,
    state: RunState | None = None,
    topic: str | None = None,
    worker_id: str | None = None,
    definition: str | None = None,
    parent: Annotated[str | None, Query(description="The run that created them.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Created at or after.")] = None,
    terms: Annotated[
        str | None, Query(alias="filter", max_length=FILTER_MAX, examples=["state:failed op:train since:1h"])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[str | None, Query(description="The `X-Next-Cursor` of the page before.")] = None,
) -> Response:
    """Newest first, without events and attempts. A page may be shorter than `limit`, or empty: the list ends where no
    `X-Next-Cursor` comes."""
    server_id = shared.database.server_id
    before = None if after is None else cursors.decode("runs", server_id, after)
    created_since = None if since is None else to_micros(since)
    wanted = Wanted(state, topic, worker_id, definition, parent, created_since, _terms(terms))

    def page(connection: Connection) -> Response:
        found, position = run_list.page(shared, connection, wanted, limit, before)
        return reply_list(list[OpRun], found, None if position is None else cursors.encode("runs", server_id, position))

    return await shared.read(page)


def _terms(text: str | None) -> RunFilter:
    try:
        return filters.parse(text or "")
    except filters.FilterError as error:
        raise invalid(str(error)) from None


@router.get("/runs/{run_id}", response_model=OpRun, responses=refusals(404))
async def get_run(
    shared: Shared, run_id: RunId, events: Annotated[int, Query(ge=0, le=1, description="0: without timelines.")] = 1
) -> Response:
    """The run with all its attempts. `placement` says why it waits."""
    return await shared.read(lambda c: reply(runs.one(shared, c, run_id, events=bool(events))))


@router.patch("/runs/{run_id}", response_model=OpRun, responses=refusals(400, 404, 409))
async def update_run(
    shared: Shared, http: Request, run_id: RunId, change: Annotated[ReceivedPatch, READ, Body(openapi_examples=PATCHES)]
) -> Response:
    """Cancel (`CANCELLED`), retry (`PENDING` of a run that has ended), change the priority, hold back (`held`) while it
    is PENDING, freeze or thaw (`frozen`), have its worker give it back (`release`). A worker gives a run back with
    `PENDING` and its lease."""
    roles.check_patch(http, change)
    by = change.patch.by or roles.words_of(http)
    await shared.change(lambda tx: patches.patch(shared, tx, run_id, change.patch, change.outputs, by))
    return await reply_run(shared, run_id)


@router.post("/runs/{run_id}/events", response_model=EventsAccepted, responses=refusals(400, 404, 409))
async def add_event(
    shared: Shared, run_id: RunId, report: Annotated[Reports, READ, Body(examples=[EVENT, EVENT_LIST])]
) -> Response:
    """One event of an attempt, or a list of one attempt's in one transaction. A `seq` known already does nothing."""
    return reply(await shared.change(lambda tx: reports.report(shared, tx, run_id, report.several)))
