"""The short words for the steps of an attempt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

_WORDS: Final = {
    "prepare_inputs": "inputs",
    "pull_latest_image": "image",
    "start_oprun": "start",
    "run_container": "container",
    "complete_oprun": "complete",
    "cleanup_op_dir": "cleanup",
}
_AFTERWARDS: Final = ("complete_oprun", "cleanup_op_dir")
"""What is done after every end: it reports, and tidies up."""


class _Step(Protocol):
    @property
    def name(self) -> str: ...


_S = TypeVar("_S", bound=_Step)


def ended_in(entered: Iterable[_S]) -> _S | None:
    """The step that an attempt did not get done, of those that it went into, where it ended without success."""
    steps = list(entered)
    return next(reversed([step for step in steps if step.name not in _AFTERWARDS] or steps), None)


def step_word(name: str) -> str:
    """`container` for `run_container`; a step of another pipeline keeps its name, with spaces."""
    return _WORDS.get(name) or name.replace("_", " ")
