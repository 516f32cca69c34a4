"""The state that the server wants of this worker, and what has been done about it here."""

from __future__ import annotations

import threading
from typing import Final

from gyoza_tui.models.workers import (
    HeartbeatReply,
    Wanted,
    WantedAnswer,
    WantedReport,
    WantedWorkerState,
    WorkerState,
)
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices

_APPLIED: Final = {
    WorkerState.CLAIMING: "resumed by {} at the server",
    WorkerState.PAUSED: "paused by {} at the server",
    WorkerState.DRAINING: "drained by {} at the server: finishes what runs here, then exits",
}


class WantedState:
    """Applies each `seq` once and remembers it, also for the next start. What is asked for at the worker overrides it.

    Thread-safe. Only `save` waits for a disk: what a power cut or a kill takes before that is applied again.
    """

    def __init__(self, journal: Journal, mode: ClaimingMode, notices: Notices) -> None:
        self._journal = journal
        self._mode = mode
        self._notices = notices
        self._lock = threading.Lock()
        self._reports = journal.wanted_reports()
        self._saved = dict(self._reports)
        self._heard: tuple[str, int] | None = None
        """Server and `seq` of what was heard last since this start."""

    @property
    def report(self) -> WantedReport | None:
        """For the server that was heard last."""
        with self._lock:
            return None if self._heard is None else self._reports[self._heard[0]]

    def hear(self, reply: HeartbeatReply) -> None:
        """Do what is wanted, where it is news."""
        wanted, server_id = reply.wanted, reply.server_id or ""
        with self._lock:
            if wanted is None:
                self._heard = None
                return
            if self._heard == (server_id, wanted.seq):
                return
            former = self._reports.get(server_id)
            if former is not None and former.seq == wanted.seq:
                self._stand(server_id, wanted, former.answer)
            else:
                self._reports[server_id] = WantedReport(seq=wanted.seq, answer=WantedAnswer.APPLIED)
                self._apply(wanted)
            self._heard = server_id, wanted.seq

    def override(self, state: WantedWorkerState) -> None:
        """Where the server wants this state, it does not count any more."""
        with self._lock:
            wanted = self._mode.wanted
            if wanted is None or wanted.state is not state or self._heard is None:
                return
            server_id, seq = self._heard
            self._reports[server_id] = WantedReport(seq=seq, answer=WantedAnswer.OVERRIDDEN)
            self._mode.want(None)
        self._notices.say(f"{wanted.by} wants this worker {state} at the server: overridden here", "warning")

    def save(self) -> None:
        """Keep what was done for the next start."""
        with self._lock:
            reports = dict(self._reports)
        news = {server_id: report for server_id, report in reports.items() if report != self._saved.get(server_id)}
        for server_id, report in news.items():
            self._journal.keep_wanted_report(server_id, report)
            self._saved[server_id] = report

    def _stand(self, server_id: str, wanted: Wanted, answer: WantedAnswer) -> None:
        """What an earlier start has applied: a pause goes on, a drain is over and leaves a pause."""
        if answer is WantedAnswer.OVERRIDDEN:
            return
        if wanted.state is WorkerState.CLAIMING:
            self._mode.want(wanted)
            return
        if wanted.state is WorkerState.DRAINING:
            self._reports[server_id] = WantedReport(seq=wanted.seq, answer=WantedAnswer.DRAINED)
        self._apply(wanted.model_copy(update={"state": WorkerState.PAUSED}))

    def _apply(self, wanted: Wanted) -> None:
        if wanted.state is not WorkerState.DRAINING:
            self._mode.pause(wanted.state is WorkerState.PAUSED)
        self._mode.want(wanted)
        self._notices.say(_APPLIED[wanted.state].format(wanted.by), wanted=wanted.state)
