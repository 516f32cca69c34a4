"""Progress bars for what takes long: on stderr, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from gyoza_tui.models.text import visible

Show: TypeAlias = Callable[[str, float | None], None]
"""What goes on, in words, and how much of the total is done; None while nobody knows."""


@contextmanager
def bar(words: str, total: float, *, shown: bool = True) -> Iterator[Show]:
    """A bar that begins with those words and is gone at its end. What is printed meanwhile stands above it."""
    if not shown or not sys.stderr.isatty():
        yield lambda _now, _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    # what goes to a file must not be taken for the terminal's
    to_terminal = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=to_terminal) as progress:
        task = progress.add_task(visible(words), total=None)
        yield lambda now, done: progress.update(
            task, description=visible(now), total=None if done is None else total, completed=done or 0
        )
