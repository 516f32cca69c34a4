"""Op definitions, retry policies, and the check of a run's inputs against its definition."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.identity import EnvName, Id
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.limits import COMMAND_ARGS_MAX, INPUTS_MAX, KIB, TAGS_MAX, TIMEOUT_S_MAX
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.values import BadValue, check_json, json_size
from gyoza_tui.models.wire import Wire


def _image(text: str) -> str:
    ImageRef.parse(text)
    return text


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value, "inputs")
    if json_size(value) > INPUTS_MAX:
        raise ValueError(f"inputs are larger than {INPUTS_MAX // KIB} KiB of JSON: pass a path or URL instead")
    return value


def _line(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    check_json(text, "text")
    return text


def _volume(pair: tuple[str, str]) -> tuple[str, str]:
    for side in pair:
        if not side.startswith("/") or ".." in side.split("/"):
            raise ValueError(f"{side[:80]!a}: a volume's two sides are absolute paths without '..'")
    return pair


def _volumes(volumes: dict[str, str]) -> dict[str, str]:
    for pair in volumes.items():
        _volume(pair)
    return volumes


Image = Annotated[str, Field(max_length=400), AfterValidator(_image)]
Text = Annotated[str, Field(max_length=32 * KIB), AfterValidator(_line)]
Inputs = Annotated[dict[str, Any], AfterValidator(_storable)]
Command = Annotated[list[Text], Field(max_length=COMMAND_ARGS_MAX)]
Volumes = Annotated[dict[str, Text], Field(max_length=64), AfterValidator(_volumes)]
"""Host path → container path; a worker mounts only what its owner allows."""
Tags = Annotated[list[Id], Field(max_length=TAGS_MAX)]
Env = Annotated[dict[EnvName, Text], Field(max_length=256)]
Timeout = Annotated[float, Field(gt=0, le=TIMEOUT_S_MAX, allow_inf_nan=False)]


class ValueType(StrEnum):
    """The type that a definition gives to an input or output."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    LIST = "list"
    DICT = "dict"
    ANY = "any"

    def accepts(self, value: object) -> bool:
        """A bool is not an int; an int is a float."""
        match self:
            case ValueType.ANY:
                return True
            case ValueType.INT:
                return isinstance(value, int) and not isinstance(value, bool)
            case ValueType.FLOAT:
                return isinstance(value, int | float) and not isinstance(value, bool)
            case _:
                return isinstance(value, _PYTHON_TYPE[self])


_PYTHON_TYPE: dict[ValueType, type] = {
    ValueType.STRING: str,
    ValueType.BOOL: bool,
    ValueType.LIST: list,
    ValueType.DICT: dict,
}


class InputSpec(Wire):
    type: ValueType = ValueType.ANY
    required: bool = True
    default: Any = None

    @model_validator(mode="after")
    def _default_fits(self) -> InputSpec:
        if self.default is not None and not self.type.accepts(self.default):
            raise ValueError(f"default {ascii(self.default)[:80]} is not of type {self.type}")
        check_json(self.default, "default")
        return self


class OutputSpec(Wire):
    type: ValueType = ValueType.ANY


class RetryPolicy(Wire):
    """When the server tries a failed op again; the machine's failures have a budget of their own."""

    max_attempts: int = Field(default=1, ge=1, le=100)
    backoff_s: float = Field(default=0, ge=0, le=86400, allow_inf_nan=False)
    backoff_factor: float = Field(default=2, ge=1, le=100, allow_inf_nan=False)
    max_backoff_s: float = Field(default=300, ge=0, le=86400, allow_inf_nan=False)
    max_infra_retries: int = Field(default=3, ge=0, le=100)

    def delay_s(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure (from 1)."""
        return min(self.max_backoff_s, self.backoff_s * self.backoff_factor ** min(failures - 1, 64))


class EventDelivery(Wire):
    """Where a run's events can be read as a feed; no topic, no feed."""

    topic: str = Field(default="", max_length=128)
    attributes: dict[str, Any] = Field(default_factory=dict)


class OpSpec(Wire):
    """What a definition and an ad hoc run have in common."""

    image: Image
    constraints: Constraints = Field(default_factory=Constraints)
    retry_policy: RetryPolicy = Field(default_factory=RetryPolicy)
    event_delivery: EventDelivery = Field(default_factory=EventDelivery)
    command: Command | None = None
    """Arguments for the image, as behind the image name of `docker run`."""
    env: Env = Field(default_factory=dict)
    secret_env: Env = Field(default_factory=dict)
    """Environment whose values only the run's worker sees."""
    volumes: Volumes = Field(default_factory=dict)
    timeout_s: Timeout | None = None
    """Seconds from the container's start."""
    may_submit: MaySubmit = MaySubmit.NO
    """Which runs it may create while it runs; never more than the owner of its machine allows."""
    tags: Tags = Field(default_factory=list)
    """Only a worker (or a GPU) that carries them all takes the run."""


class OpDefinition(OpSpec):
    id: Id
    """The op's name, unique together with the version."""
    version: Id
    input_specs: dict[str, InputSpec] = Field(default_factory=dict, max_length=256)
    output_specs: dict[str, OutputSpec] = Field(default_factory=dict, max_length=256)


class InputValidationError(ValueError):
    """Inputs that do not fit their definition; `errors` names every fault."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def fit_inputs(definition: OpDefinition, inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs with defaults filled in; InputValidationError with all faults at once."""
    specs = definition.input_specs
    errors = [f"{ascii(name)[:80]} is not an input of {definition.id}" for name in inputs if name not in specs]
    fitted: dict[str, Any] = {}
    for name, spec in specs.items():
        if name in inputs:
            fitted[name] = inputs[name]
            if not spec.type.accepts(inputs[name]):
                errors.append(f"{name} must be {spec.type}, not {type(inputs[name]).__name__}")
        elif spec.default is not None or not spec.required:
            fitted[name] = spec.default
        else:
            errors.append(f"{name} is required ({spec.type})")
    try:
        _storable(fitted)
    except BadValue as fault:
        errors.append(str(fault))
    if errors:
        raise InputValidationError(errors)
    return fitted
