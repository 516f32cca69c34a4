"""Routes whose body has been read strictly before FastAPI sees it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import WrapValidator

from gyoza_tui.server.bodies import Body
from gyoza_tui.server.shared_state import SharedState

READ: Final = WrapValidator(Body.checked)
"""For the parameter that is the body: `StrictRoute` has read it already."""


class _StrictRequest(Request):
    async def json(self) -> Any:
        return self.state.body


class StrictRoute(APIRoute):
    """A route whose body is read by `bodies.read`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler
        kind: Any = self.body_field.field_info.annotation

        async def strict(request: Request) -> Response:
            shared: SharedState = request.app.state.shared
            request = _StrictRequest(request.scope, request.receive)
            if body := await request.body():
                request.state.body = await shared.bodies.read(body, kind)
            return await handler(request)

        return strict
