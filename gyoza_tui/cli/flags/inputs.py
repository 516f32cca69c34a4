"""A run's inputs as the command line gives them: `k=v` pairs, and a JSON object in a file or on stdin."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gyoza_tui.cli.failures import usage
from gyoza_tui.models.limits import INPUTS_MAX, KIB
from gyoza_tui.models.values import why_unreadable

if TYPE_CHECKING:
    from gyoza_tui.models.definitions import InputSpec, OpDefinition


@dataclass(frozen=True)
class Given:
    """What was typed, before anybody knows what type each input has."""

    pairs: dict[str, str]
    """These win."""
    values: dict[str, Any]
    """Out of a file."""

    def untyped(self) -> dict[str, Any]:
        return self.values | {name: value_of(name, text) for name, text in self.pairs.items()}

    def fitted(self, definition: OpDefinition) -> dict[str, Any]:
        """Typed by the definition. CliError (wrong usage) tells all that does not fit, and what there is."""
        from gyoza_tui.models.definitions import InputValidationError, ValueType, fit_inputs

        texts = {name for name, spec in definition.input_specs.items() if spec.type is ValueType.STRING}
        pairs = {name: text if name in texts else value_of(name, text) for name, text in self.pairs.items()}
        inputs = self.values | pairs
        try:
            fit_inputs(definition, inputs)
        except InputValidationError as error:
            known = ", ".join(_described(name, spec) for name, spec in definition.input_specs.items()) or "none"
            faults = "\n".join(error.errors)
            raise usage(f"{faults}\ninputs of {definition.id}@{definition.version}: {known}") from None
        return inputs


def given(pairs: list[str], file: str | None) -> Given:
    """The pairs, and the JSON object in the file (`-`: on stdin). CliError (wrong usage) in words."""
    named: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise usage(f"{pair[:80]!a}: write an input as name=value; a command stands behind `--`")
        if name in named:
            raise usage(f"the input {name[:80]!a} is given twice")
        named[name] = text
    return Given(named, _from_file(file) if file is not None else {})


def value_of(name: str, text: str) -> Any:
    """JSON where `text` is JSON (`3`, `true`, `[1,2]`, `"3"`), else the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError:
        return text
    except _NotJson:
        return text
    except (ValueError, RecursionError) as error:
        raise usage(f"the input {name[:80]!a}: a value that cannot be read: {why_unreadable(error)}") from None


class _NotJson(Exception):
    """NaN or Infinity: Python reads them, JSON has no such words."""


def _refuse(word: str) -> Any:
    raise _NotJson(word)


def _from_file(name: str) -> dict[str, Any]:
    what = "what stdin holds" if name == "-" else f"the inputs file {name}"
    content = _read(name)
    if len(content) > INPUTS_MAX:
        raise usage(f"{what} is larger than {INPUTS_MAX // KIB} KiB: pass a path or URL instead")
    try:
        value = json.loads(content, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise usage(f"{what}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except _NotJson as error:
        raise usage(f"{what}: {error} is not JSON") from None
    except (ValueError, RecursionError) as error:
        raise usage(f"{what} cannot be read as JSON: {why_unreadable(error)}") from None
    if not isinstance(value, dict):
        raise usage(f"{what} must be one JSON object: names and values")
    return value


def _read(name: str) -> bytes:
    """One byte more than may be."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(INPUTS_MAX + 1)
        with Path(name).open("rb") as file:
            return file.read(INPUTS_MAX + 1)
    except (OSError, ValueError) as error:
        raise usage(f"the inputs file {name!a} cannot be read: {getattr(error, 'strerror', error)}") from None


def _described(name: str, spec: InputSpec) -> str:
    if spec.default is not None:
        return f"{name} ({spec.type}, {json.dumps(spec.default)[:40]})"
    return f"{name} ({spec.type})" if spec.required else f"{name} ({spec.type}, may be left out)"
