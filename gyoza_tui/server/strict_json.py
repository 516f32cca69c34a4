"""Request bodies, read strictly: what could not be answered again is refused at the door."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from gyoza_tui.models.limits import JSON_DEPTH_MAX
from gyoza_tui.models.values import why_unreadable
from gyoza_tui.server.errors import invalid

_ENVELOPE_DEPTH = 4
"""How deep the values of a request may lie in it (`[{"payload": {…}}]`)."""


def loads(body: bytes) -> Any:
    """The JSON value; Refused (422) for NaN, infinities, lone surrogates, huge integers, too deep nesting."""
    try:
        value = json.loads(body, parse_constant=_refuse)
        # writing it again is the quickest proof that it can be answered: it fails for all but the depth
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise invalid(f"the body is nested deeper than {JSON_DEPTH_MAX}") from None
    except UnicodeEncodeError:
        raise invalid("the body holds text with a lone surrogate") from None
    except UnicodeDecodeError:
        raise invalid("the body is not UTF-8") from None
    except ValueError as error:
        raise invalid(f"the body is not JSON that can be stored: {why_unreadable(error)}") from None
    if _deeper_than(value, JSON_DEPTH_MAX + _ENVELOPE_DEPTH):
        raise invalid(f"the body is nested deeper than {JSON_DEPTH_MAX}")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _deeper_than(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = (
            [
                child
                for item in layer
                for child in (item.values() if isinstance(item, dict) else item)
                if isinstance(child, dict | list)
            ]
            if isinstance(value, dict | list)
            else []
        )
        if not layer:
            return False
    return True


class _StrictRequest(Request):
    async def json(self) -> Any:
        return self.state.body


class StrictRoute(APIRoute):
    """A route whose body has been read by `loads` before FastAPI sees it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            request = _StrictRequest(request.scope, request.receive)
            if body := await request.body():
                request.state.body = loads(body)
            return await handler(request)

        return strict
