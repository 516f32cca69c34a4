"""What is said of an end that begins, and of what delays it."""

from __future__ import annotations

from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.view.control import Ending


class Announcement:
    def __init__(self, notices: Notices, journal: Journal, deliver: Deliver, link: ServerLink) -> None:
        self._notices = notices
        self._journal = journal
        self._deliver = deliver
        self._link = link
        self._delay = ""
        """What was said last of what delays a drain."""

    def session_ends(self, why: str | None) -> None:
        self._notices.say(f"the session ends: {why}")

    def begins(self, ending: Ending) -> None:
        """With what is left to do, and what a further signal would do."""
        runs = _counted(len(self._journal.active()), "run")
        reports = self._deliver.waiting()
        untold = f" and telling the server {_counted(reports, 'report')}" if reports else ""
        words = {
            Ending.DRAIN: f"draining: finishing {runs}{self._parents()}{untold}, then exit; "
            "a second signal stops and gives them back",
            Ending.DETACH: f"detaching: {runs} left to go on, the next start adopts them",
            Ending.RELEASE: f"stopping {runs} and giving them back{untold}; a third signal leaves at once",
            Ending.LEAVE: "leaving at once; containers stay for the next start",
        }
        self._notices.say(words[ending], "warning", ending=ending)

    def drain_goes_on(self) -> None:
        """Say once that it waits for a server that is away: the children of the runs here cannot be claimed."""
        trouble = self._link.state.trouble
        left = [row for row in self._journal.active() if row.outcome is None]
        delay = trouble if trouble and left and all(row.waits for row in left) else ""
        if delay and not self._delay:
            runs = _counted(len(left), "run")
            words = f"the drain waits for the server ({delay}): {runs} here cannot go on before the children have ended"
            self._notices.say(words, "warning")
        self._delay = delay

    def _parents(self) -> str:
        waiting = sum(row.waits for row in self._journal.active())
        return f" ({_counted(waiting, 'parent')} among them, whose children are still claimed)" if waiting else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
