"""Reports and changes as the server works with them: the payload is the text that is stored, whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema, to_json

from gyoza_tui.models.failures import Failure
from gyoza_tui.models.runs import EventReport, RunPatch

EventList = Annotated[list[EventReport], Field(min_length=1, max_length=1000)]
_EventOrList = Annotated[EventReport | EventList, Field(union_mode="left_to_right")]


@dataclass(frozen=True, slots=True)
class ObjectText:
    """A JSON object."""

    text: str
    size: int
    """Bytes of the text."""
    members: dict[str, Any]
    """What the server itself reads of it: what a Failure has."""

    @classmethod
    def of(cls, value: dict[str, Any]) -> Self:
        data = to_json(value)
        simple = {name: value[name] for name in Failure.model_fields.keys() & value if not _holds_more(value[name])}
        return cls(data.decode(), len(data), simple)


def _holds_more(value: object) -> bool:
    return isinstance(value, dict | list)


@dataclass(frozen=True, slots=True)
class Report:
    event: EventReport
    """Without its payload."""
    payload: ObjectText | None


@dataclass(frozen=True, slots=True)
class Reports:
    """The body of `POST /runs/{id}/events`: one event or a list of them."""

    several: list[Report]

    @classmethod
    def _of(cls, given: EventReport | list[EventReport]) -> Self:
        events = given if isinstance(given, list) else [given]
        return cls([Report(event.model_copy(update={"payload": None}), _text_of(event.payload)) for event in events])

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._of, handler.generate_schema(_EventOrList))


@dataclass(frozen=True, slots=True)
class ReceivedPatch:
    """The body of `PATCH /runs/{id}`."""

    patch: RunPatch
    """Without its outputs."""
    outputs: ObjectText | None

    @classmethod
    def _of(cls, patch: RunPatch) -> Self:
        return cls(patch.model_copy(update={"outputs": None}), _text_of(patch.outputs))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._of, handler.generate_schema(RunPatch))


def _text_of(value: dict[str, Any] | None) -> ObjectText | None:
    return None if value is None else ObjectText.of(value)
