"""What an op's author imports. One file that needs nothing but Python 3.8: copy it beside your op as `gyoza_op.py`.

    from gyoza_op import op, progress

    @op
    def classify(image_path: str, top_k: int = 3):
        progress(50)
        return {"labels": ["cat"]}

    if __name__ == "__main__":
        classify.run()

Under gyoza the inputs come from the run and the outputs go to it. Anywhere else `python my_op.py image_path=a.jpg`
takes the inputs from its arguments and prints the outputs.
"""

from __future__ import annotations

import inspect
import json
import os
import pickle
import sys
import traceback
import typing
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["error", "info", "inputs", "op", "outputs", "progress"]

_WORDS_MAX = 2000
"""Characters of an exception that its event tells; the log has all of it."""
_TYPES = {
    str: "text",
    int: "an int",
    float: "a number",
    bool: "true or false",
    list: "a JSON list",
    dict: "a JSON object",
}
"""What an argument can be read as."""
_outputs: dict[str, Any] = {}
_percent = -1


def inputs() -> dict[str, Any]:
    """The run's inputs by name; outside of gyoza the arguments `name=value`, JSON where that reads as JSON."""
    given = _of_the_run()
    return _of_the_arguments({}) if given is None else given


def outputs(**values: Any) -> None:
    """Give these outputs. May be called again: what was given before stays, a name given again is replaced.

    What has a `tolist` (as NumPy's) becomes a list or number, a path text. TypeError for what JSON has no words for.
    """
    text = _as_json(values)
    _outputs.update(values)
    if (path := os.environ.get("GYOZA_OUTPUT_JSON")) is not None:
        _replace(path, _as_json(_outputs).encode())
    elif (path := os.environ.get("GYOZA_OUTPUT_PATH")) is not None:
        _replace(path, pickle.dumps(json.loads(_as_json(_outputs)), protocol=4))
    else:
        print(text, flush=True)


def progress(percent: float, /, **payload: Any) -> None:
    """How far the op is, 0 to 100. Each whole percent is told once, a payload always: call it as often as you like."""
    global _percent
    percent = round(min(100.0, max(0.0, percent)), 1)
    if payload or int(percent) != _percent:
        _percent = int(percent)
        _tell("PROGRESS", percent, payload)


def info(message: str, /, **payload: Any) -> None:
    """A line of the run's timeline."""
    _tell("INFO", str(message), payload)


def error(message: str, /, **payload: Any) -> None:
    """The same, as an error. The op goes on: whether it fails is told by its exit code alone."""
    _tell("ERROR", str(message), payload)


def op(function: Callable[..., Any]) -> _Op:
    """Makes an op of a function that takes the inputs and returns a dict of the outputs, or None."""
    return _Op(function)


class _Op:
    """The function, called as before; and `run`, which is what a container runs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", "op")
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def run(self) -> None:
        """Read the inputs, call the function, write its outputs.

        An exception becomes an ERROR event, its traceback goes to stderr, and the process ends with exit code 1.
        """
        try:
            given = self._function(**self._arguments())
            if given is not None and not isinstance(given, dict):
                raise TypeError(f"{self.__name__} must return a dict of outputs or None, not {type(given).__name__}")
            if given is not None:
                outputs(**given)
        except _BadInputs as faults:
            _fail(str(faults))
        except Exception as fault:
            sys.stdout.flush()
            behind_run = fault.__traceback__.tb_next if fault.__traceback__ else None
            traceback.print_exception(type(fault), fault, behind_run)
            _fail("".join(traceback.format_exception_only(type(fault), fault)).strip())

    def _arguments(self) -> dict[str, Any]:
        """The inputs, which fit the function. _BadInputs tells all that do not."""
        given = _of_the_run()
        if given is None:
            given = _of_the_arguments(self._types())
        parameters = inspect.signature(self._function).parameters
        named = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        needed = [name for name, p in named.items() if p.default is p.empty]
        faults = [f"the input {name} is missing" for name in needed if name not in given]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            faults += [f"{name!a} is not an input" for name in given if name not in named]
        if faults:
            words = (name if name in needed else f"[{name}={p.default!r}]" for name, p in named.items())
            raise _BadInputs("; ".join(faults) + f". Inputs of {self.__name__}: {' '.join(words) or 'none'}")
        return given

    def _types(self) -> dict[str, type]:
        """What the annotations and defaults say, where that is one of the types that an argument can be read as."""
        try:
            hints = typing.get_type_hints(self._function)
        except Exception:  # as `int | None` on an old Python, or a name that only a type checker knows
            hints = {}
        types = {}
        for name, parameter in inspect.signature(self._function).parameters.items():
            known = _plain(hints.get(name)) or type(parameter.default)
            if known in _TYPES:
                types[name] = known
        return types


class _BadInputs(Exception):
    """What is wrong with the inputs, in words that need no traceback."""


def _plain(hint: Any) -> Any:
    """`list` for `List[int]`, `int` for `Optional[int]`."""
    origin = typing.get_origin(hint)
    if origin in _TYPES:
        return origin
    if origin is typing.Union or getattr(origin, "__name__", None) == "UnionType":
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return _plain(parts[0]) if len(parts) == 1 else hint
    return hint


def _of_the_run() -> dict[str, Any] | None:
    """None outside of gyoza."""
    found: dict[str, Any] | None = None
    if (path := os.environ.get("GYOZA_INPUT_JSON")) is not None:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    elif (path := os.environ.get("GYOZA_INPUT_PATH")) is not None:
        with open(path, "rb") as pickled:
            found = pickle.load(pickled)
    return found


def _of_the_arguments(types: dict[str, type]) -> dict[str, Any]:
    found, faults = {}, []
    for argument in sys.argv[1:]:
        name, equals, text = argument.partition("=")
        if not equals:
            faults.append(f"{argument!a}: write an input as name=value")
            continue
        try:
            found[name] = _read(text, types.get(name))
        except ValueError:
            faults.append(f"{name} must be {_TYPES[types[name]]}, not {text!a}")
    if faults:
        raise _BadInputs("; ".join(faults))
    return found


def _read(text: str, wanted: type | None) -> Any:
    """The value of an argument. ValueError when it is not of the type that is wanted."""
    if wanted is str:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        if wanted is None:
            return text
        raise
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is not None and type(value) is not wanted:
        raise ValueError(text)
    return value


def _as_json(values: dict[str, Any]) -> str:
    words = []
    for name, value in values.items():
        try:
            words.append(f"{json.dumps(name)}: {json.dumps(value, default=_as_plain)}")
        except (TypeError, ValueError, RecursionError) as fault:
            why = "it holds an integer of over 4000 digits" if "integer string conversion" in str(fault) else fault
            raise TypeError(f"the output {name!a} cannot be written as JSON: {why}") from None
    return "{" + ", ".join(words) + "}"


def _as_plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def _replace(path: str, data: bytes) -> None:
    """Whole or not at all: an op that is stopped while it writes leaves what it had given before."""
    part = path + ".part"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)


def _tell(kind: str, message: str | float, payload: dict[str, Any]) -> None:
    if "GYOZA_OUTPUT_JSON" in os.environ or "GYOZA_OUTPUT_PATH" in os.environ:
        event = {"type": kind, "msg": message, **({"payload": payload} if payload else {})}
        print(json.dumps(event, default=str, skipkeys=True), flush=True)
    else:
        words = f"{message:g}%" if kind == "PROGRESS" else f"{kind} {message}"
        print(words, *(f"{name}={value}" for name, value in payload.items()), file=sys.stderr, flush=True)


def _fail(words: str) -> NoReturn:
    error(words[:_WORDS_MAX])
    sys.exit(1)
