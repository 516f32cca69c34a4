"""Asks the server for the children of a run while its screen shows them."""

from __future__ import annotations

from functools import partial
from typing import Final

from gyoza_tui.models.states import TERMINAL
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.trouble import in_words
from gyoza_tui.worker.view.control import Children, ControlError, WorkerControl
from gyoza_tui.worker.view.snapshot import RunView, Snapshot

ASK_S: Final = 3.0


class ChildrenQuestion:
    """One question at a time, and one in `ASK_S` at most; none for a run that has ended with all its children."""

    def __init__(self, control: WorkerControl) -> None:
        self._control = control
        self._next = 0.0
        """Boot time."""
        self._asking = False
        self.answer: Children | None = None
        """None where it is not known yet."""
        self.trouble = ""
        """Why it is not known now."""

    def due(self, view: RunView, snapshot: Snapshot) -> bool:
        """Whether it is to be asked now."""
        if not view.may_submit or self._asking or snapshot.taken_at < self._next or self._settled(view):
            return False
        self._asking, self._next = True, snapshot.taken_at + ASK_S
        return True

    async def ask(self, view: RunView) -> None:
        try:
            self.answer = await aside(partial(self._control.children, view.key))
            self.trouble = ""
        except (ControlError, KeyError) as error:
            self.trouble = in_words(error)
        finally:
            self._asking = False

    def _settled(self, view: RunView) -> bool:
        if self.answer is None or self.trouble or not view.closed:
            return False
        return not self.answer.more and all(child.state in TERMINAL for child in self.answer.runs)
