"""The steps of an attempt: what the pipeline calls them, and the short words that a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Protocol, TypeVar


class StepName(StrEnum):
    """Of our own pipeline, in order; another one may have others."""

    PREPARE_INPUTS = "prepare_inputs"
    PULL_LATEST_IMAGE = "pull_latest_image"
    START_OPRUN = "start_oprun"
    RUN_CONTAINER = "run_container"
    COMPLETE_OPRUN = "complete_oprun"
    CLEANUP_OP_DIR = "cleanup_op_dir"


_WORDS: Final[dict[str, str]] = {
    StepName.PREPARE_INPUTS: "inputs",
    StepName.PULL_LATEST_IMAGE: "image",
    StepName.START_OPRUN: "start",
    StepName.RUN_CONTAINER: "container",
    StepName.COMPLETE_OPRUN: "complete",
    StepName.CLEANUP_OP_DIR: "cleanup",
}
_AFTERWARDS: Final = (StepName.COMPLETE_OPRUN, StepName.CLEANUP_OP_DIR)
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
