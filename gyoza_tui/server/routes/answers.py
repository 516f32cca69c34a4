"""How every route answers, and how its refusals are told in OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from pydantic import TypeAdapter
from starlette.types import Message, Receive, Scope, Send

from gyoza_tui.models.errors import ErrorBody
from gyoza_tui.models.limits import KIB
from gyoza_tui.models.wire import Wire
from gyoza_tui.server import runs
from gyoza_tui.server.database import Transaction
from gyoza_tui.server.shared_state import SharedState
from gyoza_tui.server.stored_json import written

CURSOR_HEADER = "X-Next-Cursor"
_PIECE: Final = 256 * KIB

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


def _shared(request: Request) -> SharedState:
    shared: SharedState = request.app.state.shared
    return shared


Shared = Annotated[SharedState, Depends(_shared)]


class _Json(Response):
    """Sent in pieces: the event loop is free between them, and memory holds the answer once."""

    media_type = "application/json"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_pieces(message: Message) -> None:
            body = message.get("body", b"")
            last = max(0, (len(body) - 1) // _PIECE * _PIECE)
            for begin in range(0, last, _PIECE):
                await send({**message, "body": body[begin : begin + _PIECE], "more_body": True})
            await send({**message, "body": body[last:]} if last else message)

        await super().__call__(scope, receive, in_pieces)


def reply(model: Wire, status: int = 200) -> Response:
    """Written once, by pydantic: the routes' `response_model` is for OpenAPI only. Large ones: off the event loop."""
    return _Json(written(partial(_writer(type(model)).dump_json, model)), status)


async def reply_run(shared: SharedState, run_id: str, status: int = 200) -> Response:
    """The run that was created or changed."""
    return await shared.read(lambda connection: reply(runs.changed(connection, run_id), status))


async def reply_created(shared: SharedState, create: Callable[[Transaction], str]) -> Response:
    """The run that `create` names, as it is once it is stored; read only then: a waiting worker comes first."""
    return await reply_run(shared, await shared.change(create), 201)


def reply_list(kind: Any, models: Sequence[Wire], cursor: str | None = None) -> Response:
    headers = {} if cursor is None else {CURSOR_HEADER: cursor}
    return _Json(written(partial(_writer(kind).dump_json, list(models))), headers=headers)


@cache
def _writer(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
