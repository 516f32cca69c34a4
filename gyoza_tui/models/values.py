"""Which JSON values may be stored, and how an op's value becomes one."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

from gyoza_tui.models.limits import JSON_DEPTH_MAX

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list, dict with str keys."""

INT_DIGITS_MAX = 4000
"""Python refuses to print longer integers, so one would make its run unreadable."""
_WHY_MAX = 200
_INT_MAX = 10**INT_DIGITS_MAX
_INT_TOO_LONG = f"an integer of over {INT_DIGITS_MAX} digits"


class BadValue(ValueError):
    """A value that cannot be stored. `path` says where it is, as in `outputs.loss[3]`."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


def check_json(value: Json, path: str = "value") -> None:
    """Raise BadValue for NaN, infinities, lone surrogates, non-JSON types, huge integers and depth over 64.

    One stored value like that would make its run unreadable for ever.
    """
    stack: list[tuple[Json, str, int]] = [(value, path, 0)]
    while stack:
        item, where, depth = stack.pop()
        if depth > JSON_DEPTH_MAX:
            raise BadValue(where, f"nested deeper than {JSON_DEPTH_MAX}")
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
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadValue(where, "text with a lone surrogate") from None


def _shown(key: object) -> str:
    return ascii(key)[:64]


def why_unreadable(error: ValueError | RecursionError) -> str:
    """Why a text is no JSON or TOML, without the advice to programmers that Python gives on long integers."""
    if isinstance(error, RecursionError):
        return "nested too deep"
    return _INT_TOO_LONG if "integer string conversion" in str(error) else str(error)[:_WHY_MAX]


def json_size(value: Json) -> int:
    """Bytes of `value` as compact UTF-8 JSON; ValueError for what JSON has no words for."""
    return len(json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode())
