"""Request bodies, read strictly: what could not be answered again is refused at the door."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError, WrapValidator
from pydantic_core import from_json

from gyoza_tui.models.limits import JSON_BRACKETS_MAX, JSON_DEPTH_MAX, KIB
from gyoza_tui.models.values import BadValue, check_json
from gyoza_tui.server.errors import invalid
from gyoza_tui.server.hub import Hub

_ENVELOPE_DEPTH = 4
"""How deep the values of a request may lie in it (`[{"payload": {…}}]`)."""

_LARGE: Final = 64 * KIB
"""Bytes from which a body is read off the event loop, one at a time: many that are read at once would slow it too."""


def loads(body: bytes) -> Any:
    """The JSON value; Refused (422) for NaN, infinities, lone surrogates, huge integers, too deep nesting."""
    if body.count(b"[") + body.count(b"{") > JSON_BRACKETS_MAX:
        raise invalid(f"the body has more than {JSON_BRACKETS_MAX} lists and objects")
    try:
        value = from_json(body, allow_inf_nan=False)
        check_json(value, "body", JSON_DEPTH_MAX + _ENVELOPE_DEPTH)
    except BadValue as fault:
        raise invalid(f"the body is not JSON that can be stored: {fault}") from None
    except ValueError as error:
        raise invalid(f"the body is not JSON that can be stored: {error}") from None
    return value


class _Body(NamedTuple):
    """What was read of a body."""

    value: Any
    fault: ValidationError | None = None

    def checked(self, _handler: object) -> Any:
        if self.fault is not None:
            raise self.fault
        return self.value


READ: Final = WrapValidator(_Body.checked)
"""For the parameter that is the body: `StrictRoute` has read it already."""


def _read(body: bytes, adapter: TypeAdapter[Any] | None) -> _Body:
    value = loads(body)
    try:
        return _Body(value if adapter is None else adapter.validate_python(value))
    except ValidationError as fault:
        return _Body(None, fault)


class _StrictRequest(Request):
    async def json(self) -> Any:
        return self.state.body


class StrictRoute(APIRoute):
    """A route whose body has been read before FastAPI sees it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        adapter: TypeAdapter[Any] | None = None
        if self.body_field is not None:
            kind: Any = self.body_field.field_info.annotation
            adapter = TypeAdapter(kind)

        async def strict(request: Request) -> Response:
            hub: Hub = request.app.state.hub
            request = _StrictRequest(request.scope, request.receive)
            if body := await request.body():
                large = len(body) > _LARGE
                request.state.body = await hub.apart(lambda: _read(body, adapter)) if large else _read(body, adapter)
            return await handler(request)

        return strict
