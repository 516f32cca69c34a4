"""What a program that makes a worker may be told while it works."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import NamedTuple

from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.notices.notices import Notices


class Hooks(NamedTuple):
    """Called in the worker's own threads: one that takes long holds its caller up, one that raises hurts nothing."""

    on_start: Callable[[], object] | None = None
    on_stop: Callable[[int], object] | None = None
    """With the exit code."""
    on_run_start: Callable[[RunRow], object] | None = None
    """An attempt is begun here, or taken up again after a restart."""
    on_step: Callable[[RunRow, str], object] | None = None
    on_run_end: Callable[[RunRow], object] | None = None
    """Its outcome is on disk; it may not be reported or cleaned up yet."""


class HookCalls:
    """Calls every hook that is there; what one raises is told as a notice."""

    def __init__(self, notices: Notices, *hooks: Hooks) -> None:
        self._notices = notices
        self._hooks = hooks

    def start(self) -> None:
        self._call("on_start")

    def stop(self, code: int) -> None:
        self._call("on_stop", code)

    def run_start(self, row: RunRow) -> None:
        self._call("on_run_start", row)

    def step(self, row: RunRow, step: str) -> None:
        self._call("on_step", row, step)

    def run_end(self, row: RunRow) -> None:
        self._call("on_run_end", row)

    def _call(self, name: str, *arguments: object) -> None:
        for hooks in self._hooks:
            hook = getattr(hooks, name)
            try:
                if hook is not None:
                    hook(*arguments)
            except BaseException as error:  # as asyncio.CancelledError; no signal raises in these threads
                trace = "".join(traceback.format_exception(error))
                self._notices.say(f"{name}: {type(error).__name__}: {error}", "error", traceback=trace)
