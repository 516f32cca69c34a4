"""What is said of an end that begins."""

from __future__ import annotations

from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.view.control import Ending


class Announcement:
    def __init__(self, notices: Notices, journal: Journal, deliver: Deliver) -> None:
        self._notices = notices
        self._journal = journal
        self._deliver = deliver

    def session_ends(self, why: str | None) -> None:
        self._notices.say(f"the session ends: {why}")

    def begins(self, ending: Ending) -> None:
        """With what is left to do, and what a further signal would do."""
        runs = _counted(len(self._journal.active()), "run")
        reports = self._deliver.waiting()
        untold = f" and telling the server {_counted(reports, 'report')}" if reports else ""
        words = {
            Ending.DRAIN: f"draining: finishing {runs}{untold}, then exit; a second signal stops and gives them back",
            Ending.DETACH: f"detaching: {runs} left to go on, the next start adopts them",
            Ending.RELEASE: f"stopping {runs} and giving them back{untold}; a third signal leaves at once",
            Ending.LEAVE: "leaving at once; containers stay for the next start",
        }
        self._notices.say(words[ending], "warning", ending=ending)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
