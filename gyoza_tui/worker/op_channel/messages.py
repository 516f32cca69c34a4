"""What an op may ask on its socket, one JSON object a line, and what it is answered. All that comes is hostile."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import Inputs, RetryPolicy, Timeout
from gyoza_tui.models.limits import CHILDREN_MAX, KIB, MIB, OUTPUTS_MAX, TIMEOUT_S_MAX
from gyoza_tui.models.nearest import did_you_mean, nearest

VERSION: Final = 1
LINE_MAX: Final = MIB + 256 * KIB
"""What an op may send at once: inputs and their envelope, or the ids of as many children as there may be."""
ANSWER_MAX: Final = OUTPUTS_MAX + 1 * MIB
_FAULTS_SHOWN: Final = 20


class Refusal(Exception):
    """What an op asked is not done. `str()` is what its author reads."""


class Error(StrEnum):
    """How an answer that says no is to be taken."""

    REFUSED = "refused"
    """Final."""
    BUSY = "busy"
    """To be asked again later."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


def _known(given: Any) -> Any:
    known = Constraints.model_fields
    for name in given if isinstance(given, dict) else ():
        if name not in known:
            near = did_you_mean(nearest(name[:80], known))
            raise ValueError(f"{name[:80]!a} is none of {', '.join(known)}{near}")
    return given


_ChildId = Annotated[str, Field(min_length=1, max_length=256)]


class Hello(_Message):
    do: Literal["hello"]
    version: int = VERSION


class Submit(_Message):
    do: Literal["submit"]
    what: str = Field(min_length=1, max_length=400)
    """NAME@VERSION, NAME@ for the latest; everything else is an image."""
    inputs: Inputs = Field(default_factory=dict)
    key: str | None = Field(default=None, min_length=1, max_length=256)
    nth: int = Field(default=0, ge=0, le=CHILDREN_MAX)
    """How many equal calls without a key this attempt has made before."""
    constraints: Annotated[Constraints, BeforeValidator(_known)] | None = None
    """A name that is none is refused: its author would take it for one that counts."""
    timeout_s: Timeout | None = None
    retry_policy: RetryPolicy | None = None
    detach: bool = False


class State(_Message):
    do: Literal["state"]
    child: _ChildId
    result: bool = False
    """With its outputs, or why it failed."""


class Cancel(_Message):
    do: Literal["cancel"]
    child: _ChildId


class Until(StrEnum):
    """When a wait is answered, if its time is not over before."""

    FIRST_COMPLETED = "first_completed"
    FIRST_EXCEPTION = "first_exception"
    ALL_COMPLETED = "all_completed"


class Wait(_Message):
    """The answer names each child that has ended once, however often the wait goes on."""

    do: Literal["wait"]
    children: list[_ChildId] | None = Field(default=None, max_length=CHILDREN_MAX)
    """None: those that are left of the wait before on this connection."""
    until: Until = Until.ALL_COMPLETED
    timeout_s: float | None = Field(default=None, ge=0, le=TIMEOUT_S_MAX, allow_inf_nan=False)


Message: TypeAlias = Hello | Submit | State | Cancel | Wait
_READER: Final[TypeAdapter[Message]] = TypeAdapter(
    Annotated[Message, Field(discriminator="do")], config=ConfigDict(defer_build=True)
)


def parse(line: bytes) -> Message:
    """Raises Refusal, which names all that is wrong."""
    try:
        return _READER.validate_python(json.loads(line))
    except ValidationError as error:
        raise Refusal("; ".join(_faults(error))) from None
    except (ValueError, RecursionError):
        raise Refusal("that is not one line of JSON") from None


def _faults(error: ValidationError) -> list[str]:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [_fault(each["loc"], each["msg"]) for each in faults[:_FAULTS_SHOWN]]


def _fault(location: tuple[int | str, ...], words: str) -> str:
    where = ".".join(str(part)[:80] for part in location[1:])
    return f"{where}: {words.removeprefix('Value error, ')}" if where else words


def answer(**fields: Any) -> bytes:
    """As one line; in place of one that is too long, words that say so."""
    line = json.dumps({"ok": True, **fields}, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    return line if len(line) <= ANSWER_MAX else refused(f"the answer has {len(line)} bytes: too many for the socket")


def refused(words: str, error: Error = Error.REFUSED) -> bytes:
    return json.dumps({"ok": False, "error": error.value, "words": words}).encode() + b"\n"
