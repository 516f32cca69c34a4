"""Which JSON values may be stored, and how an op's value becomes one."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

from pydantic_core import to_json

from gyoza_tui.models.limits import JSON_DEPTH_MAX

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list, dict with str keys."""

INT_DIGITS_MAX = 4000
"""Python refuses to print longer integers, so one would make its run unreadable."""
_WHY_MAX = 200
_INT_MAX = 10**INT_DIGITS_MAX
_INT_TOO_LONG = f"an integer of over {INT_DIGITS_MAX} digits"
_SMALL_INT: Final = 1 << 64


class BadValue(ValueError):
    """A value that cannot be stored. `path` says where it is, as in `outputs.loss[3]`."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


def check_json(value: Json, path: str = "value", depth_max: int = JSON_DEPTH_MAX) -> None:
    """Raise BadValue for NaN, infinities, lone surrogates, non-JSON types, huge integers and too deep nesting.

    One stored value like that would make its run unreadable for ever.
    """
    if not _is_plain(value, depth_max):
        _find_fault(value, path, depth_max)


def _is_plain(value: Json, depth_max: int) -> bool:
    """Whether nothing is wrong with it, found without noting where; False where a closer look is needed."""
    layer = [value]
    for _ in range(depth_max + 1):
        below: list[Json] = []
        for item in layer:
            kind = type(item)
            if kind is dict:
                if not all(type(key) is str and (key.isascii() or _is_text(key)) for key in item):
                    return False
                below.extend(item.values())
            elif kind is list:
                below.extend(item)
            elif kind is int:
                if not -_SMALL_INT < item < _SMALL_INT:
                    return False
            elif not (
                item is None
                or kind is bool
                or (kind is str and (item.isascii() or _is_text(item)))
                or (kind is float and math.isfinite(item))
            ):
                return False
        if not below:
            return True
        layer = below
    return False


def _find_fault(value: Json, path: str, depth_max: int) -> None:
    stack: list[tuple[Json, str, int]] = [(value, path, 0)]
    while stack:
        item, where, depth = stack.pop()
        if depth > depth_max:
            raise BadValue(where, f"nested deeper than {depth_max}")
        if isinstance(item, dict):
            for key, child in item.items():
                if not isinstance(key, str):
                    raise BadValue(where, f"the key {_shown(key)} is {type(key).__name__}, not str")
                _check_text(key, where)
                stack.append((child, f"{where}.{key[:64]}", depth + 1))
        elif isinstance(item, list):
            stack.extend((child, f"{where}[{i}]", depth + 1) for i, child in enumerate(item))
        else:
            _check_scalar(item, where)


def _check_scalar(item: Json, where: str) -> None:
    if item is None or isinstance(item, bool):
        return
    if isinstance(item, str):
        _check_text(item, where)
    elif isinstance(item, int):
        if abs(item) >= _INT_MAX:
            raise BadValue(where, _INT_TOO_LONG)
    elif isinstance(item, float):
        if not math.isfinite(item):
            raise BadValue(where, f"{item} is not a JSON number")
    else:
        raise BadValue(where, f"{type(item).__name__} is not a JSON type")


def _check_text(text: str, where: str) -> None:
    if not _is_text(text):
        raise BadValue(where, "text with a lone surrogate")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(key: object) -> str:
    return ascii(key)[:64]


def why_unreadable(error: ValueError | RecursionError) -> str:
    """Why a text is no JSON or TOML, without the advice to programmers that Python gives on long integers."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return _INT_TOO_LONG if "integer string conversion" in str(error) else str(error)[:_WHY_MAX]


def json_size(value: Json) -> int:
    """Bytes of `value`, which `check_json` has passed, as compact UTF-8 JSON."""
    return len(to_json(value))
