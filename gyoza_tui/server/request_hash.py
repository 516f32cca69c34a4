"""What a create asked for, as a hash: a repeat asks for the same, another request with the same id does not.

What counts is what the request says: a field at its default says nothing, so a field that comes with a later version
changes no hash that is stored.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, TypeAlias

from pydantic_core import to_json

from gyoza_tui.models.runs import DefinitionRunRequest, RunRequest

CreateRequest: TypeAlias = RunRequest | DefinitionRunRequest

_UNTIL_SCHEMA_4: Final[dict[type[CreateRequest], dict[str, Any]]] = {
    RunRequest: {
        "image": True,
        "constraints": {"cpu", "ram_mb", "vram_mb", "gpu_id"},
        "retry_policy": {"max_attempts", "backoff_s", "backoff_factor", "max_backoff_s", "max_infra_retries"},
        "event_delivery": {"topic", "attributes"},
        "command": True,
        "env": True,
        "secret_env": True,
        "volumes": True,
        "timeout_s": True,
        "tags": True,
        "id": True,
        "inputs": True,
        "priority": True,
    },
    DefinitionRunRequest: {"id": True, "inputs": True, "priority": True, "version": True},
}
"""The fields that there were. Up to version 4 of the database a hash covered all of them, defaults too, in this order,
which is that of the models."""


def of(request: CreateRequest, definition: str | None) -> str:
    """`definition`: the name of the one that the run is made from."""
    return hashlib.sha256(to_json([definition, _sorted(_said(request))])).hexdigest()


def asks_for(stored: str, request: CreateRequest, definition: str | None) -> bool:
    """Whether the request asks for the run with that stored hash."""
    return stored == of(request, definition) or stored == _until_schema_4(request, definition)


def _said(request: CreateRequest, include: dict[str, Any] | None = None) -> dict[str, Any]:
    """Without the id, and without who creates it: a child has the priority of its parent, whatever it asks for."""
    exclude = {"id"} if request.parent is None else {"id", "parent", "priority"}
    return request.model_dump(mode="json", exclude_defaults=True, exclude=exclude, include=include)


def _until_schema_4(request: CreateRequest, definition: str | None) -> str | None:
    """None where the request says what could not be said then."""
    fields = _UNTIL_SCHEMA_4[type(request)]
    if _said(request) != _said(request, fields):
        return None
    body = request.model_dump_json(include=fields)
    return hashlib.sha256(f"{definition or ''}\n{body}".encode()).hexdigest()


def _sorted(value: Any) -> Any:
    """The order of an object's members says nothing."""
    match value:
        case dict():
            return {name: _sorted(value[name]) for name in sorted(value)}
        case list():
            return [_sorted(each) if isinstance(each, dict | list) else each for each in value]
        case _:
            return value
