"""Take what a claim was answered with, or give it back."""

from __future__ import annotations

from gyoza_tui.client import Claimed
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import Children
from gyoza_tui.worker import endings
from gyoza_tui.worker.admission import Admission
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.wakes import Wakes


class Intake:
    """What is new is journaled first, whatever becomes of it."""

    def __init__(
        self,
        journal: Journal,
        admission: Admission,
        link: ServerLink,
        slots: Slots,
        notices: Notices,
        wakes: Wakes,
        worker_id: str,
    ) -> None:
        self._journal = journal
        self._admission = admission
        self._link = link
        self._slots = slots
        self._notices = notices
        self._wakes = wakes
        self._worker_id = worker_id
        self.started = 0
        """Runs that were started, since this process began."""
        self.refused = 0
        """Runs that were given back at once."""

    def take(self, answer: Claimed, children: Children | None = None) -> int:
        """Start what is new, or give it back with the reason; how many were started.

        `children`: the runs that the claim was limited to.
        """
        started = 0
        server_id = answer.server_id or self._link.state.server_id
        for run in answer.runs:
            attempt = run.attempt or run.current_attempt
            if self._journal.find(server_id, run.id, attempt, run.lease or None) is None:
                started += self._take(server_id, run.model_copy(update={"attempt": attempt}), children)
        return started

    def _take(self, server_id: str, run: OpRun, children: Children | None) -> bool:
        rows = self._journal.active()
        older = [row for row in rows if row.run_id == run.id]
        # what has ended is only cleaned up after: the server counts it no longer, and the run's slot waits for it
        active = [row for row in rows if row.run_id != run.id and row.outcome is None]
        run = self._admission.placed(run, active)
        refusal = self._admission.refusal(run, active, children)
        if refusal is None and not self._link.lease_holds:
            refusal = "the lease may have run out"
        row = self._journal.take(server_id, run, ImageRef.parse(run.image).backend if refusal is None else "")
        for superseded in older:
            self._slots.intend(superseded, Intent.LOST, "the server has a newer attempt")
        if refusal is None:
            self._notices.say(f"{run.id} claimed: {run.image}", run=run.id, attempt=row.attempt, state="claimed")
            self._slots.start(row)
            self.started += 1
        else:
            final = self._admission.never_takes(run, active)
            endings.refused(self._journal, row, self._worker_id, refusal, final=final)
            self._notices.say(f"{run.id} given back: {refusal}", "warning", run=run.id, state="released")
            self._wakes.deliver.set()
            self.refused += 1
        self._wakes.beat.set()
        return refusal is None
