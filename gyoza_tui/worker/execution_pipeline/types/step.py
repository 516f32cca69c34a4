"""Step protocol for the execution pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext

_F = TypeVar("_F", bound=Callable[..., ExecutionContext])


class Step(Protocol):
    """A single step: takes the context and returns the same or another. Any callable of that shape is one.

    Steps carry no state of their own: several runs go through the same step at once.
    """

    def __call__(self, ctx: ExecutionContext) -> ExecutionContext: ...


def always(step: _F) -> _F:
    """Mark a step that runs whatever happened before it."""
    step.always = True  # type: ignore[attr-defined]
    return step


def runs_always(step: Step) -> bool:
    return bool(getattr(step, "always", False))


def step_name(step: Step) -> str:
    """`run_container` for the class RunContainer, the function's own name else."""
    name = getattr(step, "__name__", None) or type(step).__name__
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
