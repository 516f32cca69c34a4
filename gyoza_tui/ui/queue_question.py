"""Asks the server why what is queued there is not for this worker, while the screen says that nothing runs."""

from __future__ import annotations

from typing import Final

from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.why_nothing_runs import none_is_for_this_worker, something_runs
from gyoza_tui.worker.view.control import ControlError, WorkerControl
from gyoza_tui.worker.view.snapshot import Snapshot

ASK_S: Final = 5.0


class QueueQuestion:
    """One question at a time, and one in `ASK_S` at most."""

    def __init__(self, control: WorkerControl) -> None:
        self._control = control
        self._next = 0.0
        """Boot time."""
        self.answer = ""
        """Empty where it is not known."""

    def due(self, snapshot: Snapshot) -> bool:
        """Whether it is to be asked now."""
        if something_runs(snapshot) or not none_is_for_this_worker(snapshot):
            self.answer = ""
            return False
        if snapshot.taken_at < self._next:
            return False
        self._next = snapshot.taken_at + ASK_S
        return True

    async def ask(self) -> None:
        try:
            self.answer = await aside(self._control.why_queued)
        except ControlError:
            self.answer = ""
