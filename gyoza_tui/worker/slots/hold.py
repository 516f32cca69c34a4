"""What keeps a run held: its container is out of reach, on another engine than the one that answers now."""

from __future__ import annotations

from gyoza_tui.backends.base import AttemptElsewhere, BackendError
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.slots.machine import Machine


class Hold:
    """On one run. Nothing is done for the attempt, nor reported, until its engine is back or it is cancelled."""

    def __init__(self, journal: Journal, machine: Machine, notices: Notices, row: RunRow) -> None:
        self._journal = journal
        self._machine = machine
        self._notices = notices
        self._row = row
        self.notice: RetryNotice | None = None
        """None while it is not held."""
        self._said = False
        """Whether it was said to be held, and not found within reach since."""

    def look(self, again_at: float) -> bool:
        """Whether the attempt still has to end and is out of reach; `again_at`: when the next look would be."""
        now = self._journal.get(self._row.key) or self._row
        given_up = now.intent in (Intent.CANCEL, Intent.LOST)
        if now.handle is not None and now.exit is None and now.outcome is None and not given_up:
            try:
                self._machine.backend(self._row).state(now.handle)
            except AttemptElsewhere as error:
                self.begin(error, again_at)
                return True
            except BackendError:  # the pipeline waits for it, and says so
                pass
            else:
                self._said = False
        self.notice = None
        return False

    def begin(self, error: AttemptElsewhere, again_at: float) -> None:
        """Hold it, and say so once."""
        run_id = self._row.run_id
        if not self._said:
            self._said = True
            self._notices.say(f"{run_id} is held: {error}", "warning", run=run_id, state="held")
        self.notice = RetryNotice(f"held: {error}", again_at, held=True)
