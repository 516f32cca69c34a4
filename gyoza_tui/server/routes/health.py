"""Is it there, and who is it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from gyoza_tui import __version__
from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.workers import PROTOCOL, Health
from gyoza_tui.server.errors import Refused
from gyoza_tui.server.roles import SCOPE_KEY
from gyoza_tui.server.routes.answers import Shared, refusals, reply
from gyoza_tui.server.server_time import to_utc

router = APIRouter(tags=["health"])


@router.get("/health", response_model=Health, responses={503: refusals()[503]})
async def health(shared: Shared, request: Request) -> Response:
    """Needs no key. 503 when the database has gone from its place."""
    if (trouble := shared.database.trouble) is not None:
        raise Refused(503, ErrorCode.BUSY, trouble)
    return reply(
        Health(
            status="ok",
            version=__version__,
            protocol=PROTOCOL,
            server_id=shared.database.server_id,
            server_time=to_utc(shared.server_time.shown()),
            role=request.scope[SCOPE_KEY] if "X-API-Key" in request.headers else None,
        )
    )
