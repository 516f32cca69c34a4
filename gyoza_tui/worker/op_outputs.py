"""What an op gave as its outputs, decoded without trusting a byte of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gyoza_tui.models.limits import JSON_DEPTH_MAX, MIB, OUTPUTS_MAX
from gyoza_tui.models.values import INT_DIGITS_MAX, BadValue, check_json, json_size
from gyoza_tui.worker import pickle_child

IN_PROCESS_MAX: Final = 64 * 1024
"""JSON up to this size is decoded here; starting a process costs more than it could."""
MEMORY_MAX: Final = 1024 * MIB
CPU_S: Final = 10
_WALL_S: Final = 12.0
_REPLY_MAX: Final = 4 * OUTPUTS_MAX


class BadOutput(ValueError):
    """Outputs that cannot be stored; `str()` begins with the path of the culprit."""


@dataclass(frozen=True, slots=True)
class DecodedOutputs:
    values: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What was changed, in words that name the key: NaN and infinities became null."""


def decode_outputs(json_file: bytes | None, pickle_file: bytes | None) -> DecodedOutputs:
    """The outputs from the op's two files: JSON wins, no file means none, JSON in the pickle's place is taken.

    Raises BadOutput and nothing else, whatever the bytes. Takes at most some 12 s.
    """
    if json_file is not None:
        said = _decoded("json", json_file)
    elif pickle_file is None:
        return DecodedOutputs({})
    else:
        kind = "json" if pickle_file.lstrip()[:1] == b"{" else "pickle"
        said = _decoded(kind, pickle_file)
    return _checked(said)


def _decoded(kind: str, data: bytes) -> Any:
    if kind == "json" and len(data) <= IN_PROCESS_MAX:
        return pickle_child.answer(kind, data, OUTPUTS_MAX, JSON_DEPTH_MAX, INT_DIGITS_MAX)
    return _in_child(kind, data)


def _in_child(kind: str, data: bytes) -> Any:
    limits = (MEMORY_MAX, CPU_S, OUTPUTS_MAX, JSON_DEPTH_MAX, INT_DIGITS_MAX)
    command = [sys.executable, "-I", "-S", str(Path(pickle_child.__file__)), kind, *map(str, limits)]
    try:
        ended = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            timeout=_WALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BadOutput(f"outputs: decoding them takes longer than {_WALL_S:g} s") from None
    if ended.returncode != 0 or len(ended.stdout) > _REPLY_MAX:
        raise BadOutput(f"outputs: decoding them takes more than {MEMORY_MAX // MIB} MiB or {CPU_S} s")
    try:
        return json.loads(ended.stdout)
    except (ValueError, RecursionError):
        raise BadOutput("outputs: cannot be decoded") from None


def _checked(said: Any) -> DecodedOutputs:
    """What the child says is looked at again: it has read hostile bytes."""
    if not isinstance(said, dict) or not isinstance(said.get("values"), dict):
        bad = said.get("bad") if isinstance(said, dict) else None
        raise BadOutput(str(bad or "outputs: cannot be decoded")[:1000])
    values = said["values"]
    try:
        check_json(values, "outputs")
        if json_size(values) > OUTPUTS_MAX:
            raise BadOutput(f"outputs: larger than {OUTPUTS_MAX // MIB} MiB of JSON")
    except (BadValue, RecursionError) as error:
        raise BadOutput(str(error)) from None
    nulls = said.get("nulls")
    named = nulls if isinstance(nulls, list) else []
    return DecodedOutputs(values, tuple(f"{name} was NaN or infinite and became null" for name in named))
