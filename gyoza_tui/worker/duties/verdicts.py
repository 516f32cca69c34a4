"""Do what the server said of our runs, and what its silence means for them; keep what it wants of the worker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from gyoza_tui.models.clock import Clock
from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import Feature, HeartbeatReply, RunVerdict, Verdict, Want
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent, RunRow
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.slots.freeze_wishes import FreezeWishes
from gyoza_tui.worker.wanted_state import WantedState
from gyoza_tui.worker.worker_context.types import WorkerContext


class Verdicts(Duty):
    """Apart from the heartbeat, because an intent is journaled: a slow disk may delay it, but not the next beat."""

    name = "verdicts"

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        link: ServerLink,
        journal: Journal,
        slots: Slots,
        context: WorkerContext,
        wanted: WantedState,
        freeze_wishes: FreezeWishes,
        stop_before_s: float | None,
    ) -> None:
        """`stop_before_s`: how long before the server may give our runs away they are stopped; None: they go on."""
        super().__init__(clock, notices, threading.Event())
        self._link = link
        self._journal = journal
        self._slots = slots
        self._context = context
        self._wanted = wanted
        self._freeze_wishes = freeze_wishes
        self._stop_before_s = stop_before_s
        self._heard: queue.SimpleQueue[tuple[Sequence[RunRow], HeartbeatReply]] = queue.SimpleQueue()

    def hear(self, listed: Sequence[RunRow], reply: HeartbeatReply) -> None:
        """The reply to a beat that listed these rows. Returns at once."""
        self._heard.put((listed, reply))
        self._wake.set()

    def tick(self) -> float:
        self._wanted.save()
        while not self._heard.empty():
            self._obey(*self._heard.get())
        self._let_go_of_held()
        self._guard_lease()
        return self._link.state.heartbeat_s

    def _obey(self, listed: Sequence[RunRow], reply: HeartbeatReply) -> None:
        """Verdicts are about the rows that the beat listed, never about one that was claimed meanwhile."""
        newest = {row.run_id: row.key for row in listed}
        for row in listed:
            verdict = (reply.runs or {}).get(row.run_id)
            now = self._journal.get(row.key)
            if verdict is None or now is None:
                continue
            if newest[row.run_id] == row.key:
                self._context.set_run_state(row.run_id, verdict.state)
                self._judge(now, verdict)
                if verdict.verdict is Verdict.OK and Feature.FREEZE in reply.features:
                    by = verdict.want_by or "the server"
                    self._freeze_wishes.hear(now, by, frozen=verdict.want is Want.FROZEN)
            else:
                self._slots.intend(now, Intent.LOST, "this worker has a newer attempt")

    def _judge(self, row: RunRow, said: RunVerdict) -> None:
        if said.attempt is not None and said.attempt > row.attempt:
            self._slots.intend(row, Intent.LOST, "the server has a newer attempt")
        elif said.verdict is Verdict.CANCEL or said.state is RunState.CANCELLED:
            self._slots.intend(row, Intent.CANCEL, "cancelled at the server", by_server=True)
        elif said.verdict is Verdict.LOST:
            self._slots.intend(row, Intent.LOST, "the server gave it to another")
        elif said.want is Want.RELEASE:
            self._slots.intend(row, Intent.RELEASE, "released at the server")
        elif said.verdict is Verdict.UNKNOWN and not row.started_acked:
            self._slots.intend(row, Intent.LOST, "the server does not know it, and nothing was done")

    def _let_go_of_held(self) -> None:
        for row in self._journal.active():
            if self._link.state.holds(row.server_id) and not row.started_acked:
                self._slots.intend(row, Intent.LOST, "its server is gone, and nothing was done")

    def _guard_lease(self) -> None:
        """Stop what runs when the owner wants that, before the server may give it to another."""
        state = self._link.state
        if self._stop_before_s is None or state.lease_s is None:
            return
        if self._link.silent_s >= state.lease_s + state.grace_s - self._stop_before_s:
            for row in self._journal.active():
                self._slots.intend(row, Intent.RELEASE, "the server was silent until the lease was over")
