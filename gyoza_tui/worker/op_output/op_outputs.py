"""An op's outputs out of its files. They are hostile: only small JSON is parsed in this process."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from gyoza_tui.models.limits import MIB, OUTPUTS_MAX
from gyoza_tui.worker.op_output import pickle_child

_INLINE_MAX: Final = 1 * MIB
"""JSON up to here is parsed in this process; more would stop every other thread for too long."""
_DEADLINE_S: Final = 12.0
_ANSWER_MAX: Final = 4 * OUTPUTS_MAX
"""A child's answer: at worst every character of the outputs escaped."""


class BadOutput(ValueError):
    """The output cannot be taken. `str()` names the file, the place in it, and why."""


@dataclass(frozen=True, slots=True)
class DecodedOutputs:
    """What an op has left as its outputs."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What was changed to make the values storable, in words."""


def decode_outputs(json_file: bytes | None, pickle_file: bytes | None) -> DecodedOutputs:
    """The outputs of an op that ended well. JSON wins; neither file: none. Raises BadOutput, within seconds."""
    if json_file is not None:
        return _decode(json_file, "output.json", may_pickle=False)
    if pickle_file is not None:
        return _decode(pickle_file, "output.pkl", may_pickle=True)
    return DecodedOutputs()


def _decode(data: bytes, name: str, *, may_pickle: bool) -> DecodedOutputs:
    data = data.removeprefix(codecs.BOM_UTF8)
    looks_json = data.lstrip()[:1] in (b"{", b"[")
    if not looks_json and not may_pickle:
        raise BadOutput(f"{name} is not a JSON object" if data.strip() else f"{name} is empty")
    try:
        if looks_json and len(data) <= _INLINE_MAX and data.lstrip()[:1] == b"{":
            answer = pickle_child.outputs_of(data, OUTPUTS_MAX)
        else:
            answer = _by_child(data)
    except pickle_child.Bad as error:
        raise BadOutput(f"{name}: {error}") from None
    return DecodedOutputs(answer["values"], tuple(answer["notes"]))


def _by_child(data: bytes) -> dict[str, Any]:
    argv = [sys.executable, "-I", "-S", pickle_child.__file__, str(OUTPUTS_MAX)]
    try:
        child = subprocess.run(
            argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/",
            timeout=_DEADLINE_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise pickle_child.Bad(f"decoding took more than {_DEADLINE_S:.0f} s") from None
    except OSError as error:
        raise pickle_child.Bad(f"no process could be started to decode it: {error.strerror}") from None
    if child.returncode or not child.stdout or len(child.stdout) > _ANSWER_MAX:
        raise pickle_child.Bad("decoding it took too much memory or time, and was ended")
    answer = json.loads(child.stdout)
    if "bad" in answer:
        raise pickle_child.Bad(answer["bad"])
    return {"values": answer["values"], "notes": answer["notes"]}
