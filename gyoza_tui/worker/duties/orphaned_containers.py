"""What is left at a backend and belongs to no row that is at work."""

from __future__ import annotations

from typing import Final

from gyoza_tui.backends.base import Backend, FoundAttempt, Label
from gyoza_tui.models.clock import Clock
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.duties.complaints import Complaints
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir import orphans

SWEEP_S: Final = 60.0


class OrphanedContainers:
    """What carries our labels and belongs to no row that is at work, or to a process that died without a journal, is
    stopped and removed. One attempt that cannot be hides no other."""

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        journal: Journal,
        slots: Slots,
        identity: Identity,
        stop_grace_s: float,
    ) -> None:
        self._clock = clock
        self._notices = notices
        self._journal = journal
        self._slots = slots
        self._identity = identity
        self._stop_grace_s = stop_grace_s
        self._complaints = Complaints(notices, SWEEP_S)
        self._swept_at: dict[str, float] = {}

    def due(self, name: str) -> bool:
        return self._clock.boot() - self._swept_at.get(name, -SWEEP_S) >= SWEEP_S

    def remove(self, backend: Backend) -> None:
        with self._complaints.about(f"{backend.name}: what is left there is not known"):
            found = backend.find({Label.WORKER: self._identity.worker_id})
            self._swept_at[backend.name] = self._clock.boot()
            active = {row.name for row in self._journal.active()}
            for stray in found:
                if stray.name not in active:
                    with self._complaints.about(f"{stray.name} is left on {backend.name}"):
                        self._settle(backend, stray)
        with self._complaints.about(f"{backend.name}: what it no longer needs is not removed"):
            backend.prune(self._identity.labels)

    def _settle(self, backend: Backend, stray: FoundAttempt) -> None:
        if orphans.orphaned(stray):
            self._remove(backend, stray, "left by a process that was killed")
        elif stray.trouble is not None:
            self._settle_unreadable(backend, stray, stray.trouble)
        elif self._identity.labels.items() <= stray.labels.items() and orphans.is_ours(stray):
            if self._journal.known(stray.name):
                self._remove(backend, stray, "left from an ended run")
            else:
                self._give_back(backend, stray)

    def _settle_unreadable(self, backend: Backend, stray: FoundAttempt, trouble: str) -> None:
        """Its name is all that is known of it: that of a run that has ended here, or of something unknown."""
        if self._journal.known(stray.name):
            self._remove(backend, stray, "left from an ended run")
        else:
            self._complaints.once(
                f"{stray.name} on {backend.name} is left as it is: {trouble}. Remove it if nothing there is needed"
            )

    def _remove(self, backend: Backend, stray: FoundAttempt, why: str) -> None:
        orphans.remove(backend, stray, self._stop_grace_s)
        self._notices.say(f"removed {stray.name}, {why}", backend=backend.name)

    def _give_back(self, backend: Backend, stray: FoundAttempt) -> None:
        """A container of ours without a row, as after --new-journal: its labels say whose it is."""
        labels = stray.labels
        run = OpRun(
            id=labels[Label.RUN],
            image="unknown",
            attempt=int(labels[Label.ATTEMPT]),
            lease=labels.get(Label.LEASE) or None,
        )
        row = self._journal.take(
            labels.get(Label.SERVER, ""),
            run,
            backend.name,
            create_asked=True,
            handle=stray.handle,
            start_asked=True,
            started_acked=True,
            intent=Intent.RELEASE,
            intent_note="this worker's journal no longer knew it",
        )
        self._notices.say(f"{run.id}: found without a journal row; stopping it and giving it back", "warning")
        self._slots.start(row)
