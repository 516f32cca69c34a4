"""Decodes one untrusted output file in a process of its own, run as `python -I -S pickle_child.py LIMIT_BYTES`.

Reads the file from stdin, writes one JSON object to stdout: `{"values": …, "notes": […]}` or `{"bad": words}`. Limits
of memory and CPU are set on itself before the first byte is read: a nine-byte pickle asks for gigabytes.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import sys
from typing import Any, NoReturn

_MIB = 1024 * 1024
MEMORY_BYTES = 1024 * _MIB
CPU_S = 10
DEPTH_MAX = 64
INT_DIGITS_MAX = 4000
NOTES_MAX = 20
_INT_MAX = 10**INT_DIGITS_MAX
_INT_TOO_LONG = f"an integer of over {INT_DIGITS_MAX} digits"


class Bad(Exception):
    """The output cannot be taken; the words say where and why."""


class _NoGlobals(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise Bad(f"the pickle names {module[:80]}.{name[:80]}: only plain values are taken, no classes or functions")

    def persistent_load(self, pid: object) -> NoReturn:
        raise Bad("the pickle refers to objects outside itself")


def decode(data: bytes) -> Any:
    """The value in `data`: JSON, or a pickle without globals."""
    text = data.lstrip()
    if text[:1] in (b"{", b"["):
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            if text[:1] == b"{" or not isinstance(error, ValueError):
                raise Bad(f"not JSON: {_words(error)}") from None
    try:
        return _NoGlobals(io.BytesIO(data)).load()
    except Bad:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise Bad(f"neither JSON nor a pickle: {_words(error)}") from None


def _words(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    if "integer string conversion" in str(error):  # what Python says goes on with advice to a programmer
        return _INT_TOO_LONG
    return (str(error) or type(error).__name__)[:200]


class Cleaner:
    """Makes a storable JSON value of a decoded one, at most `limit` bytes of it, however often it shares its parts."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._limit = limit
        self.notes: list[str] = []
        self.noted = 0
        self._above: set[int] = set()

    def clean(self, value: Any, path: str, depth: int = 0) -> Any:
        if depth > DEPTH_MAX:
            raise Bad(f"{path}: nested deeper than {DEPTH_MAX}")
        if isinstance(value, (dict, list, tuple)):
            return self._container(value, path, depth)
        self._spend(1)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, int):
            if abs(value) >= _INT_MAX:
                raise Bad(f"{path}: {_INT_TOO_LONG}")
            self._spend(value.bit_length() // 4)
            return value
        if isinstance(value, float):
            return self._number(value, path)
        raise Bad(f"{path}: {type(value).__name__} is not a JSON type")

    def _container(self, value: Any, path: str, depth: int) -> Any:
        if id(value) in self._above:
            raise Bad(f"{path}: holds itself")
        self._above.add(id(value))
        self._spend(2)
        cleaned: Any
        if isinstance(value, dict):
            cleaned = {}
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Bad(f"{path}: the key {ascii(key)[:64]} is {type(key).__name__}, not str")
                name = self._text(key, path)
                self._spend(1)
                cleaned[name] = self.clean(item, f"{path}.{key[:64]}", depth + 1)
        else:
            cleaned = [self.clean(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        self._above.discard(id(value))
        return cleaned

    def _text(self, text: str, path: str) -> str:
        self._spend(len(text))
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Bad(f"{path}: text with a lone surrogate") from None
        return text

    def _number(self, number: float, path: str) -> float | None:
        if number - number == 0:
            return number
        self.noted += 1
        if len(self.notes) < NOTES_MAX:
            self.notes.append(f"{path} is {number}: stored as null")
        return None

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Bad(f"more than {self._limit // _MIB} MiB of JSON: write big results to a file or a store")


def outputs_of(data: bytes, limit: int) -> dict[str, Any]:
    """`values` and `notes` of an output file. Raises Bad."""
    cleaner = Cleaner(limit)
    value = decode(data)
    if not isinstance(value, dict):
        raise Bad(f"outputs is {type(value).__name__}: an op's outputs are a dict by name")
    try:
        values = cleaner.clean(value, "outputs")
    except RecursionError:
        raise Bad(f"outputs: nested deeper than {DEPTH_MAX}") from None
    size = len(json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode())
    if size > limit:
        raise Bad(f"outputs: {size} bytes of JSON: at most {limit // _MIB} MiB are taken")
    notes = cleaner.notes
    if cleaner.noted > len(notes):
        notes.append(f"{cleaner.noted - len(notes)} more values were not numbers and stored as null")
    return {"values": values, "notes": notes}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = outputs_of(sys.stdin.buffer.read(), int(sys.argv[1]))
    except Bad as error:
        answer = {"bad": str(error)}
    except MemoryError:
        answer = {"bad": f"needs over {MEMORY_BYTES // _MIB} MiB of memory to decode"}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # What was decoded need not be taken apart.
    os._exit(0)


if __name__ == "__main__":
    main()
