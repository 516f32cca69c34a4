"""Intents that a view shows before the journal has them."""

from __future__ import annotations

import sqlite3
import threading

from gyoza_tui.worker.journal.file import JournalClosed
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots


class EarlyIntents:
    """Those on their way into the journal. Thread-safe; nothing here waits for a disk."""

    def __init__(self, slots: Slots, notices: Notices) -> None:
        self._slots = slots
        self._notices = notices
        self._lock = threading.Lock()
        self._early: dict[int, Intent] = {}

    def intend(self, row: RunRow, intent: Intent, note: str) -> bool:
        """Show the intent at once and have it journaled; whether the row can still have it."""
        with self._lock:
            if not self.intended(row).may_become(intent):
                return False
            self._early[row.key] = intent
        try:
            threading.Thread(target=self._journal, args=(row, intent, note), name="intend", daemon=True).start()
        except RuntimeError:  # as many threads as there may be: better late than never
            self._journal(row, intent, note)
        return True

    def intended(self, row: RunRow) -> RunRow:
        """The row with the intent that is on its way into the journal."""
        early = self._early.get(row.key)
        return row if early is None else row._replace(intent=early)

    def _journal(self, row: RunRow, intent: Intent, note: str) -> None:
        try:
            self._slots.intend(row, intent, note)
        except JournalClosed:
            return
        except (OSError, sqlite3.Error) as error:
            words = f"{row.run_id} goes on, the {intent} could not be written down: {error}"
            self._notices.say(words, "error", run=row.run_id)
        finally:
            with self._lock:
                if self._early.get(row.key) is intent:
                    del self._early[row.key]
