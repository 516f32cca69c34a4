"""The quiet end of a run that is no longer to be finished here."""

from __future__ import annotations

from gyoza_tui.worker.journal.row import Intent


class RunSuperseded(Exception):
    """Ends the pipeline without FAILED and without raising out of it: cancelled, released, or another's now."""

    def __init__(self, intent: Intent, note: str = "") -> None:
        super().__init__(note or intent)
        self.intent = intent
        self.note = note
