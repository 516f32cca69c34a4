"""Request bodies, read strictly: what could not be answered again is refused at the door."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from gyoza_tui.models.limits import JSON_BRACKETS_MAX, JSON_DEPTH_MAX
from gyoza_tui.models.values import check_json

_ENVELOPE_DEPTH: Final = 4
"""How deep the values of a request may lie in it (`[{"payload": {…}}]`)."""
_FAULTS_MAX: Final = 20


class Fault(NamedTuple):
    """What is wrong with a body, and where, without what was sent: it may be a secret, or megabytes."""

    where: tuple[int | str, ...]
    why: str


class Body(NamedTuple):
    """What was read of a body."""

    value: Any
    faults: list[Fault]

    def checked(self, _handler: object) -> Any:
        """The value; ValidationError with all faults at once."""
        if not self.faults:
            return self.value
        raise ValidationError.from_exception_data("body", [_details(fault) for fault in self.faults])


def _details(fault: Fault) -> InitErrorDetails:
    return {"type": PydanticCustomError("invalid", "{why}", {"why": fault.why}), "loc": fault.where, "input": None}


def read(body: bytes, kind: type) -> Body:
    """The body as a `kind`, which pydantic knows."""
    try:
        return Body(_adapter(kind).validate_python(_loads(body)), [])
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_context=False, include_input=False)
        return Body(None, [Fault(error["loc"], error["msg"]) for error in errors[:_FAULTS_MAX]])
    except _BadBody as error:
        return Body(None, [Fault((), str(error))])


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


class _BadBody(Exception):
    """The body is no JSON, or JSON that cannot be stored."""


def _loads(body: bytes) -> Any:
    """The JSON value; no NaN, infinities, lone surrogates, huge integers, too deep nesting."""
    if body.count(b"[") + body.count(b"{") > JSON_BRACKETS_MAX:
        raise _BadBody(f"the body has more than {JSON_BRACKETS_MAX} lists and objects")
    try:
        value = from_json(body, allow_inf_nan=False)
        check_json(value, "body", JSON_DEPTH_MAX + _ENVELOPE_DEPTH)
    except ValueError as error:
        raise _BadBody(f"the body is not JSON that can be stored: {error}") from None
    return value
