"""Decodes an op's output in a process of its own: `python -I -S pickle_child.py json|pickle <limits>`.

Bytes come on stdin, one JSON object goes to stdout: {"values": …, "nulls": [names]} or {"bad": words}. Nothing of
ours is imported: the process is started bare, with limits on memory and processor time, because refusing globals is not
enough. Nine bytes of pickle can ask for gigabytes, and 175 bytes of shared lists become half a gigabyte of JSON.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import resource
import sys
from typing import Any


class Bad(Exception):
    """An output that cannot be stored, in words that begin with its path."""


class NoGlobals(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise Bad(f"outputs: the pickle asks for {module}.{name}; only plain values are allowed")


class Cleaner:
    """Turns what was decoded into storable JSON: tuples become lists, NaN and infinities null."""

    def __init__(self, size_max: int, depth_max: int, digits_max: int) -> None:
        self._room = size_max
        self._size_max = size_max
        self._depth_max = depth_max
        self._digits_max = digits_max
        self.nulls: list[str] = []

    def clean(self, value: Any, path: str, depth: int = 0) -> Any:
        if depth > self._depth_max:
            raise Bad(f"{path[:200]}: nested deeper than {self._depth_max}, or inside itself")
        if isinstance(value, dict):
            return {self._key(key, path): self.clean(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            self._spend(2)
            return [self.clean(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        return self._scalar(value, path)

    def _scalar(self, value: Any, path: str) -> Any:
        if value is None or isinstance(value, bool):
            self._spend(5)
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int):
            digits = value.bit_length() * 0.30103
            if digits > self._digits_max:
                raise Bad(f"{path[:200]}: an integer of over {self._digits_max} digits")
            self._spend(int(digits) + 2)
            return value
        if isinstance(value, float):
            self._spend(8)
            if math.isfinite(value):
                return value
            if len(self.nulls) < 100:
                self.nulls.append(path[:200])
            return None
        raise Bad(f"{path[:200]}: {type(value).__name__} is not a JSON type")

    def _key(self, key: Any, path: str) -> str:
        if not isinstance(key, str):
            raise Bad(f"{path[:200]}: the key {ascii(key)[:64]} is {type(key).__name__}, not str")
        return self._text(key, path)

    def _text(self, text: str, path: str) -> str:
        try:
            self._spend(len(text.encode()) + 3)
        except UnicodeEncodeError:
            raise Bad(f"{path[:200]}: text with a lone surrogate") from None
        return text

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise Bad(f"outputs: larger than {self._size_max} bytes of JSON")


def decoded(kind: str, data: bytes) -> Any:
    if kind == "json":
        try:
            return json.loads(data)
        except RecursionError:
            raise Bad("outputs: JSON nested too deep") from None
        except ValueError as error:
            raise Bad(f"outputs: not JSON ({str(error)[:200]})") from None
    try:
        return NoGlobals(io.BytesIO(data)).load()
    except Bad:
        raise
    except Exception as error:
        raise Bad(f"outputs: not a pickle of plain values ({type(error).__name__})") from None


def answer(kind: str, data: bytes, size_max: int, depth_max: int, digits_max: int) -> dict[str, Any]:
    cleaner = Cleaner(size_max, depth_max, digits_max)
    try:
        value = decoded(kind, data)
        if not isinstance(value, dict):
            raise Bad(f"outputs: a {type(value).__name__}, not a dict of named outputs")
        values = cleaner.clean(value, "outputs")
    except Bad as bad:
        return {"bad": str(bad)}
    except RecursionError:
        return {"bad": "outputs: nested too deep"}
    return {"values": values, "nulls": cleaner.nulls}


def main() -> None:
    kind, memory, cpu_s, size_max, depth_max, digits_max = sys.argv[1], *map(int, sys.argv[2:])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.set_int_max_str_digits(digits_max + 10)
    try:
        said = answer(kind, sys.stdin.buffer.read(), size_max, depth_max, digits_max)
        sys.stdout.buffer.write(json.dumps(said, allow_nan=False, ensure_ascii=False).encode(errors="replace"))
    except MemoryError:
        sys.stdout.write('{"bad": "outputs: decoding them takes too much memory"}')


if __name__ == "__main__":
    main()
