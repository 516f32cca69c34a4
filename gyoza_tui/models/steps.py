"""The short words for the steps of an attempt."""

from __future__ import annotations

from typing import Final

_WORDS: Final = {
    "prepare_inputs": "inputs",
    "pull_latest_image": "image",
    "start_oprun": "start",
    "run_container": "container",
    "complete_oprun": "complete",
    "cleanup_op_dir": "cleanup",
}


def step_word(name: str) -> str:
    """`container` for `run_container`; a step of another pipeline keeps its name, with spaces."""
    return _WORDS.get(name) or name.replace("_", " ")
