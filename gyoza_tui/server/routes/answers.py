"""How every route answers, and how its refusals are told in OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import TypeAdapter

from gyoza_tui.models.errors import ErrorBody
from gyoza_tui.models.wire import Wire
from gyoza_tui.server import runs
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.hub import Hub

CURSOR_HEADER = "X-Next-Cursor"

_WORDS = {
    400: "It does not fit: the inputs, the transition, or the cursor.",
    401: "The API key is missing or wrong.",
    403: "A key of this role may not do it.",
    404: "There is nothing of that name.",
    409: "It is not yours (any more), has ended, or contradicts what is there.",
    410: "The cursor is older than what is kept.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    421: "The server has no key, and the request may be of a web page.",
    422: "The request does not have the shape that this endpoint takes.",
    503: "The server cannot take it now; try again.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: these and what every route may answer."""
    every = {401, 403, 413, 415, 421, 422, 503, *statuses}
    return {status: {"model": ErrorBody, "description": _WORDS[status]} for status in sorted(every)}


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(_hub)]


def reply(model: Wire, status: int = 200) -> Response:
    """Written once, by pydantic: the routes' `response_model` is for OpenAPI only."""
    return Response(model.model_dump_json(), status, media_type="application/json")


async def reply_created(hub: Hub, create: Callable[[Transaction], str]) -> Response:
    """The run that `create` names, as it is once it is stored; read only then: a waiting worker comes first."""
    run_id = await hub.change(create)
    return reply(await hub.read(lambda connection: runs.changed(connection, run_id)), 201)


def reply_list(kind: Any, models: Sequence[Wire], cursor: str | None = None) -> Response:
    headers = {} if cursor is None else {CURSOR_HEADER: cursor}
    return Response(_writer(kind).dump_json(list(models)), headers=headers, media_type="application/json")


@cache
def _writer(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
