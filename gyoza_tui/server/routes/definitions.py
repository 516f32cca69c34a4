"""Op definitions, and runs made from them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.runs import DefinitionRunRequest, OpRun
from gyoza_tui.server import creates, definitions, roles
from gyoza_tui.server.routes.answers import Shared, refusals, reply, reply_created, reply_list
from gyoza_tui.server.routes.examples import DEFINITION, DEFINITION_RUN
from gyoza_tui.server.strict_json import READ, StrictRoute

router = APIRouter(tags=["definitions"], route_class=StrictRoute)

Name = Annotated[str, Path(description="The definition's `id`.", examples=["classify-op"])]


@router.post("/definitions", response_model=OpDefinition, responses=refusals())
async def upsert_definition(
    shared: Shared, definition: Annotated[OpDefinition, READ, Body(examples=[DEFINITION])]
) -> Response:
    """Create or replace that version of that op; from now on it is the latest."""
    return reply(await shared.change(lambda tx: definitions.upsert(shared, tx, definition)))


@router.get("/definitions", response_model=list[OpDefinition], responses=refusals())
async def list_definitions(shared: Shared) -> Response:
    """All versions of all definitions."""
    return await shared.read(lambda c: reply_list(list[OpDefinition], definitions.all_versions(c)))


@router.get("/definitions/{name}", response_model=OpDefinition, responses=refusals(404))
async def get_definition(
    shared: Shared,
    name: Name,
    version: Annotated[str | None, Query(description="Default: the one upserted last.")] = None,
) -> Response:
    """One definition; the values of its secrets are shown as `***`."""
    return reply(await shared.read(lambda c: definitions.shown(definitions.find(c, name, version))))


@router.post("/definitions/{name}/runs", response_model=OpRun, status_code=201, responses=refusals(400, 404, 409))
async def create_run_from_definition(
    shared: Shared,
    http: Request,
    name: Name,
    request: Annotated[DefinitionRunRequest, READ, Body(examples=[DEFINITION_RUN])],
) -> Response:
    """A run of that op. Inputs that do not fit are refused with every fault; with an `id` a repeat is harmless.
    With `parent`, an attempt that is RUNNING and its lease, it is created by that run and has its priority."""
    roles.check_create(http, request)
    return await reply_created(shared, lambda tx: creates.create_from_definition(shared, tx, name, request))
