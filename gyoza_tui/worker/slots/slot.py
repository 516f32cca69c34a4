"""The slot of one run: its pipeline is run, and run again, until its row is brought to its end."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Final

from gyoza_tui.backends.base import AttemptElsewhere, BackendError, PullProgress
from gyoza_tui.models.clock import Clock
from gyoza_tui.worker import endings
from gyoza_tui.worker.attempt_record import Records
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.retry_notice import RetryNotice
from gyoza_tui.worker.slots.attempt_services import AttemptServices, context_of
from gyoza_tui.worker.slots.hold import Hold
from gyoza_tui.worker.slots.machine import Machine

_AGAIN_S: Final = 5.0
"""Before the pipeline is run again for a row that could not be brought to its end, as on a full disk."""
_LEAVE_S: Final = 5.0


class Slot:
    """Of one run. `bring_to_end` is its thread's; the rest is asked and said by others."""

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        journal: Journal,
        records: Records,
        machine: Machine,
        attempts: AttemptServices,
        pipeline: Pipeline,
        row: RunRow,
        filled_disk: Callable[[], str],
    ) -> None:
        """`filled_disk`: how the run filled a disk and is stopped for it; empty when it did not."""
        self._clock = clock
        self._notices = notices
        self._journal = journal
        self._records = records
        self._machine = machine
        self._attempts = attempts
        self._pipeline = pipeline
        self.row = row
        """As it was when it came here."""
        self._filled_disk = filled_disk
        self.services: Services | None = None
        """Those that its pipeline was run with last."""
        self.pull: PullProgress | None = None
        self._hold = Hold(journal, machine, notices, row)
        self._said = ""
        """What was said last while its pipeline is tried again."""

    def wake(self) -> None:
        """Let its thread look at its row again."""
        if self.services is not None:
            if self.services.record.row.intent is not Intent.NONE:
                self.services.interrupt.set()
            self.services.wake.set()

    def abandon(self) -> None:
        """Leave the attempt as it is."""
        if self.services is not None:
            if self.services.pump is not None:
                self.services.pump.abandon()
            self.services.wake.set()

    def forget_trouble(self) -> None:
        """Say it once more if the pipeline meets the same trouble again."""
        self._said = ""

    @property
    def is_held(self) -> bool:
        """Whether its container is out of reach, on another engine than the one that answers now."""
        return self._hold.notice is not None

    @property
    def again(self) -> RetryNotice | None:
        """Why what it is at is tried again, and when."""
        if self._hold.notice is not None or self.services is None:
            return self._hold.notice
        return self.services.again

    def bring_to_end(self) -> None:
        """Run the pipeline until the row is at its end."""
        if self.row.outcome is None:
            self._records.begin(self.row)
        while not self._run():
            self._wait_to_go_on()

    def _wait_to_go_on(self) -> None:
        wake = threading.Event() if self.services is None else self.services.wake
        wake.clear()
        self._clock.wait(wake, _AGAIN_S)

    @property
    def _again_at(self) -> float:
        """When the pipeline would be run again, in UTC seconds."""
        return self._clock.utc().timestamp() + _AGAIN_S

    def _run(self) -> bool:
        """Run the pipeline once; whether the row is brought to its end."""
        row = self.row
        if not self._machine.has_backend(row):
            self._give_back()
            return True
        if self._hold.look(self._again_at):
            return False
        try:
            services = self._attempts.open(row, filled_disk=self._filled_disk, on_pull=self._pulls)
            try:
                self.services = services
                self.wake()
                self._pipeline.run(context_of(row.run, services))
            finally:
                self._close_output()
                services.spool.close()
        except AttemptElsewhere as error:
            self._hold.begin(error, self._again_at)
        except Exception as error:
            self._tell(error)
            self._show(error)
        return self._is_over()

    def _pulls(self, progress: PullProgress) -> None:
        self.pull = progress

    def _close_output(self) -> None:
        """So that nothing writes to the log beside the next run of the pipeline."""
        if self.services is not None and self.services.pump is not None:
            self.services.pump.leave(_LEAVE_S)

    def _tell(self, error: Exception) -> None:
        """A backend's words are told with the run's end already; anything else comes with its traceback, as data."""
        row = self.row
        if self.services is not None and self.services.lacks_room(error):
            words = f"{row.run_id} waits for room on a disk, its op goes on: {error}"
            if self._is_news(words):
                self._notices.say(words, "warning", run=row.run_id)
            return
        now = self._journal.get(row.key)
        if isinstance(error, BackendError) and (now is None or now.outcome is not None):
            return
        text = f"{row.run_id}: {_words(error)}"
        if self._is_news(text):
            trace = "".join(traceback.format_exception(error))
            self._notices.say(text, "error", run=row.run_id, traceback=trace)

    def _is_news(self, words: str) -> bool:
        """Whether they are others than at the try before."""
        before, self._said = self._said, words
        return words != before

    def _show(self, error: Exception) -> None:
        """While the row is not at its end, for the pipeline will be run again."""
        if self.services is not None and not self._is_over():
            self.services.again = RetryNotice(_words(error), self._again_at)

    def _is_over(self) -> bool:
        return is_over(self._journal, self.row)

    def _give_back(self) -> None:
        """Journaled by a start that ended before it could refuse the run, or that had more backends."""
        record = self._records.of(self.row, threading.Event())
        endings.given_back(record.finish, f"this worker has no backend for {self.row.run.image}")
        record.update(cleaned=True)


def is_over(journal: Journal, row: RunRow) -> bool:
    """Whether nothing of it runs here, and nothing is left to clean."""
    now = journal.get(row.key)
    return now is None or not now.active


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
