"""Wait for the end of a worker, and bring it about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.shutdown.announcement import Announcement
from gyoza_tui.worker.shutdown.drain import Drain
from gyoza_tui.worker.shutdown.good_bye import GoodBye
from gyoza_tui.worker.shutdown.release import Release
from gyoza_tui.worker.shutdown.session_end import SessionEnd
from gyoza_tui.worker.shutdown.stages import Stages
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.control import Ending

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
"""Of a session with bounds: what it was for did not go well."""
EXIT_LEFT: Final = 130


class Shutdown:
    def __init__(
        self,
        ending: AskedEnding,
        stages: Stages,
        session_end: SessionEnd,
        drain: Drain,
        release: Release,
        good_bye: GoodBye,
        announcement: Announcement,
    ) -> None:
        self._ending = ending
        self._stages = stages
        self._session_end = session_end
        self._drain = drain
        self._release = release
        self._good_bye = good_bye
        self._announcement = announcement

    def wait(self) -> int:
        """Serve until somebody asks for the end; the exit code."""
        while True:
            if self._ending.now is None:
                self._drain.undo()
            self._stages.look()
            self._ending.follow()
            self._session_end.look()
            match self._ending.now:
                case Ending.LEAVE:
                    return EXIT_LEFT
                case Ending.RELEASE:
                    if self._release.done():
                        return self._leave()
                case Ending.DETACH:
                    return self._leave()
                case Ending.DRAIN:
                    if self._drain.takes_too_long():
                        self._ending.ask(Ending.DETACH)
                        self._announcement.begins(Ending.DETACH)
                        return self._leave()
                    if self._drain.done:
                        return self._leave()
                    self._announcement.drain_goes_on()

    def turn(self, duties: Sequence[Duty], passes: int) -> int:
        """Do each duty so many times, one after another, unless a signal comes; leave as by a detach."""
        for _ in range(passes):
            if self._stages.interrupted():
                break
            for duty in duties:
                duty.step()
        return self._leave()

    def _leave(self) -> int:
        self._good_bye.say()
        return EXIT_DONE
