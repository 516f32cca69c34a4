"""`gyoza.yml`: op definitions in a file, one in each YAML document, with the same fields as at the server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from gyoza_tui.cli.failures import CliError, usage
from gyoza_tui.cli.try_op import yaml_file
from gyoza_tui.cli.try_op.yaml_file import Document, TextPlace, YamlFault
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import EventDelivery, InputSpec, OpDefinition, OutputSpec, RetryPolicy
from gyoza_tui.models.limits import KIB
from gyoza_tui.models.nearest import did_you_mean, nearest

NAME: Final = "gyoza.yml"
FILE_MAX: Final = 256 * KIB
FAULTS_SHOWN: Final = 20
_PARTS: Final[dict[str, type[BaseModel]]] = {
    "constraints": Constraints,
    "retry_policy": RetryPolicy,
    "event_delivery": EventDelivery,
    "input_specs": InputSpec,
    "output_specs": OutputSpec,
}
"""What stands below a key: itself, or each of its values."""
_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list, as [a, b]",
    "dict_type": "a mapping, as {name: value}",
}
_NEEDED: Final = {
    "id": "the op's name",
    "version": 'the version, as "1"',
    "image": "a Docker image, or local://name",
}


class Fault(NamedTuple):
    place: TextPlace
    words: str


def read_definitions(path: Path) -> list[OpDefinition]:
    """The file's definitions, at least one. CliError (wrong usage) tells all faults, each with line and column."""
    try:
        documents = yaml_file.documents(_text(path))
    except YamlFault as error:
        raise _refusal(path, [Fault(error.place, str(error))]) from None
    if not documents:
        raise usage(f"{path} holds no definition: it needs {', '.join(_NEEDED)}")
    found: list[OpDefinition] = []
    faults: list[Fault] = []
    for document in documents:
        try:
            definition = _definition(document)
        except _Faulty as faulty:
            faults += faulty.faults
            continue
        if any((each.id, each.version) == (definition.id, definition.version) for each in found):
            words = f"{definition.id}@{definition.version} is in this file already"
            faults.append(Fault(document.values[()], words))
        found.append(definition)
    if faults:
        raise _refusal(path, faults)
    return found


class _Faulty(Exception):
    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX + 1)
    except FileNotFoundError:
        raise usage(f"there is no {path}; `gyoza-tui init DIR` writes an op with one") from None
    except OSError as error:
        raise usage(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > FILE_MAX:
        raise usage(f"{path} is larger than {FILE_MAX // KIB} KiB: that is no list of definitions")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = TextPlace(before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        raise _refusal(path, [Fault(place, "a byte that is not UTF-8")]) from None


def _refusal(path: Path, faults: list[Fault]) -> CliError:
    lines = [f"{path}, line {place.line}, column {place.column}: {words}" for place, words in sorted(faults)]
    more = [f"and {len(lines) - FAULTS_SHOWN} more"] if len(lines) > FAULTS_SHOWN else []
    return usage("\n".join(lines[:FAULTS_SHOWN] + more))


def _definition(document: Document) -> OpDefinition:
    """Raises _Faulty. The text is what is checked: JSON knows no int that is a bool, and no float that is an int."""
    if not isinstance(document.value, dict):
        raise _Faulty([Fault(document.values[()], f"a definition is a mapping {_all_keys(())}")])
    faults = list(_fill_in_secrets(document))
    try:
        definition = OpDefinition.model_validate_json(json.dumps(document.value), strict=True, extra="forbid")
    except ValidationError as error:
        raise _Faulty(faults + [_fault(dict(each), document) for each in error.errors()]) from None
    if faults:
        raise _Faulty(faults)
    return definition


def _fill_in_secrets(document: Document) -> Iterator[Fault]:
    """A secret without a value gets that of this process's environment: a file is no place for it."""
    secrets = document.value.get("secret_env")
    for name in [name for name, value in secrets.items() if value is None] if isinstance(secrets, dict) else []:
        secrets[name] = os.environ.get(name, "")
        if name not in os.environ:
            place = document.keys["secret_env", name]
            yield Fault(place, f"secret_env.{name} has no value here, and {name} is not set in the environment")


def _fault(error: dict[str, Any], document: Document) -> Fault:
    path = tuple(part for part in error["loc"] if part != "[key]")
    about_key = path != error["loc"] or error["type"] == "extra_forbidden"
    places = document.keys if about_key and path in document.keys else document.values
    known = next(path[:length] for length in range(len(path), -1, -1) if path[:length] in places)
    return Fault(places[known], _words(error, path))


def _words(error: dict[str, Any], path: yaml_file.Path) -> str:
    name = ".".join(map(str, path))
    match error["type"]:
        case "missing":
            return f"{name} is missing: {_NEEDED[name]}"
        case "extra_forbidden":
            near = nearest(str(path[-1]), _keys(path[:-1]))
            return f"no key {path[-1]!a} here{did_you_mean(near)} {_all_keys(path[:-1])}"
        case "string_type" if isinstance(error["input"], int | float):
            return f"{name} must be text: put it in quotes"
        case "model_type":
            return f"{name} must be a mapping {_all_keys(path)}, not {_shown(error['input'])}"
        case "enum":
            return f"{name} must be {error['ctx']['expected']}, not {ascii(error['input'])[:80]}"
        case "value_error":
            return f"{name}: {error['msg'].removeprefix('Value error, ')}"
        case kind if kind in _WANTED:
            return f"{name} must be {_WANTED[kind]}, not {_shown(error['input'])}"
        case _:
            return f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}, not {_shown(error['input'])}"


def _keys(path: yaml_file.Path) -> list[str]:
    model = _PARTS[str(path[0])] if path else OpDefinition
    return list(model.model_fields)


def _all_keys(path: yaml_file.Path) -> str:
    return f"(keys: {', '.join(_keys(path))})"


def _shown(value: Any) -> str:
    return json.dumps(value)[:80]
