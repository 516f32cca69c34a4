"""What becomes of the worker and its runs when the screen is left."""

from __future__ import annotations

from gyoza_tui.ui.keys import questions
from gyoza_tui.ui.keys.question import Question
from gyoza_tui.ui.keys.questions import Way
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.screens.dialog import Dialog
from gyoza_tui.worker.view.snapshot import Snapshot


class QuitDialog(Dialog[Way]):
    """Its numbers are those of now."""

    def __init__(self, snapshot: Snapshot, options: UiOptions) -> None:
        self._options = options
        super().__init__(self._asked(snapshot))

    def action_stay(self) -> None:
        self.dismiss(None)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.ask(self._asked(snapshot))

    def _asked(self, snapshot: Snapshot) -> Question[Way]:
        return questions.leave(snapshot, self._options.keymap, attached=self._options.attached)
