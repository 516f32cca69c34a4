"""What becomes of the worker and its runs when the screen is left."""

from __future__ import annotations

from gyoza_tui.ui import questions
from gyoza_tui.ui.questions import Way
from gyoza_tui.ui.screens.dialog import Dialog
from gyoza_tui.worker.snapshot import Snapshot


class QuitDialog(Dialog[Way]):
    """Its numbers are those of now."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(questions.leave(snapshot))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.ask(questions.leave(snapshot))
