"""Is it there, and who is it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from gyoza_tui import __version__
from gyoza_tui.models.workers import PROTOCOL, Health
from gyoza_tui.server.moments import to_utc
from gyoza_tui.server.routes.answers import TheHub, reply

router = APIRouter(tags=["health"])


@router.get("/health", response_model=Health)
async def health(hub: TheHub) -> Response:
    """Needs no key."""
    return reply(
        Health(
            status="ok",
            version=__version__,
            protocol=PROTOCOL,
            server_id=hub.database.server_id,
            server_time=to_utc(hub.moments.shown()),
        )
    )
