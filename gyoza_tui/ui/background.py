"""Work of a widget that goes on while it takes messages, and ends with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from textual.dom import DOMNode
from textual.worker import Worker

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


def in_background(
    node: DOMNode,
    work: Work,
    *,
    name: str = "",
    group: str = "default",
    exclusive: bool = False,
    exit_on_error: bool = True,
) -> None:
    """Start `work()`, in place of the others of its group if it is exclusive.

    It is called when it begins: a coroutine made before is never awaited when it is cancelled too early.
    """
    _: Worker[None] = node.run_worker(work, name, group, exit_on_error=exit_on_error, exclusive=exclusive)
