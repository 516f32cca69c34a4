"""What becomes of the worker and its runs when the screen is left."""

from __future__ import annotations

from collections.abc import Mapping

from gyoza_tui.ui.keys import questions
from gyoza_tui.ui.keys.questions import Way
from gyoza_tui.ui.screens.dialog import Dialog
from gyoza_tui.worker.view.snapshot import Snapshot


class QuitDialog(Dialog[Way]):
    """Its numbers are those of now."""

    def __init__(self, snapshot: Snapshot, keymap: Mapping[str, str]) -> None:
        self._keymap = keymap
        super().__init__(questions.leave(snapshot, keymap))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.ask(questions.leave(snapshot, self._keymap))
