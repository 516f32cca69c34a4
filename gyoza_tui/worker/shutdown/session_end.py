"""End a session whose bound is met."""

from __future__ import annotations

from gyoza_tui.worker.session import Session
from gyoza_tui.worker.shutdown.announcement import Announcement
from gyoza_tui.worker.shutdown.drain import Drain
from gyoza_tui.worker.shutdown.stages import Stages
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.control import Ending


class SessionEnd:
    """Whoever undoes it goes on without bounds."""

    def __init__(
        self, session: Session, ending: AskedEnding, stages: Stages, drain: Drain, announcement: Announcement
    ) -> None:
        self._session = session
        self._ending = ending
        self._stages = stages
        self._drain = drain
        self._announcement = announcement
        self._met = False

    def look(self) -> None:
        session = self._session
        if self._ending.now is not None:
            return
        if self._met:
            self._met = False
            session.lift()
        if session.over is None and session.time_is_over:
            session.end_by_time()
            self._end(self._ending.of_sigterm)
            self._announcement.begins(self._ending.of_sigterm)
            return
        if self._nothing_to_claim_and_settled():
            session.end("nothing is left to finish or to report")
        if session.over is not None:
            self._end(Ending.DRAIN)

    def _nothing_to_claim_and_settled(self) -> bool:
        """In a session until all is empty whose duties do not claim; where they do, the claims find out."""
        session = self._session
        waits = session.bounds.until_empty and not session.claims and session.over is None
        return waits and self._drain.reported

    def _end(self, ending: Ending) -> None:
        self._met = True
        self._announcement.session_ends(self._session.over)
        self._stages.begin(ending)
