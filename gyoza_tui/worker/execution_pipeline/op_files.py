"""The files by which an op gets its inputs and gives its outputs, and the variables that name them."""

from __future__ import annotations

import json
import pickle
from typing import Any, Final

INPUT_PICKLE: Final = "input.pkl"
OUTPUT_PICKLE: Final = "output.pkl"
INPUT_JSON: Final = "input.json"
OUTPUT_JSON: Final = "output.json"

_VARIABLES: Final = {
    "GYOZA_INPUT_PATH": INPUT_PICKLE,
    "GYOZA_OUTPUT_PATH": OUTPUT_PICKLE,
    "GYOZA_INPUT_JSON": INPUT_JSON,
    "GYOZA_OUTPUT_JSON": OUTPUT_JSON,
}


def path_variables(op_dir: str) -> dict[str, str]:
    """The variables for an op that sees its directory at `op_dir`."""
    return {variable: f"{op_dir}/{name}" for variable, name in _VARIABLES.items()}


def input_files(inputs: dict[str, Any]) -> dict[str, bytes]:
    """The inputs for Python ops (pickle protocol 4, as the reference has it) and for all others (JSON)."""
    return {
        INPUT_PICKLE: pickle.dumps(inputs, protocol=4),
        INPUT_JSON: json.dumps(inputs, ensure_ascii=False, allow_nan=False).encode(),
    }
