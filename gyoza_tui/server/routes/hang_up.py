"""A handler does not notice by itself that its client has hung up."""

from __future__ import annotations

from fastapi import Request


async def hung_up(request: Request) -> None:
    """Return when the client has gone. For requests whose body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
