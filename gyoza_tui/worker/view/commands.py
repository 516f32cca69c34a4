"""What a person asks the worker to do."""

from __future__ import annotations

from typing import Any

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.control import Ending, Reloaded
from gyoza_tui.worker.view.early_intents import EarlyIntents
from gyoza_tui.worker.view.live_settings import LiveSettings
from gyoza_tui.worker.wakes import Wakes
from gyoza_tui.worker.wanted_state import WantedState


class Commands:
    def __init__(
        self,
        journal: Journal,
        link: ServerLink,
        mode: ClaimingMode,
        wanted: WantedState,
        wakes: Wakes,
        intents: EarlyIntents,
        ending: AskedEnding,
        settings: LiveSettings,
    ) -> None:
        self._journal = journal
        self._link = link
        self._mode = mode
        self._wanted = wanted
        self._wakes = wakes
        self._intents = intents
        self._ending = ending
        self._settings = settings

    def pause(self) -> None:
        self._wanted.override(WorkerState.CLAIMING)
        self._mode.pause(True)

    def resume(self) -> None:
        self._wanted.override(WorkerState.PAUSED)
        self._mode.pause(False)

    def end(self, ending: Ending) -> None:
        if ending is Ending.DRAIN:
            self._wanted.override(WorkerState.CLAIMING)
        self._ending.ask(ending)

    def stop(self) -> Ending:
        ending = self._ending.of_sigterm
        self.end(ending)
        return ending

    def undo_drain(self) -> None:
        self._wanted.override(WorkerState.DRAINING)
        self._ending.undo_drain()

    def cancel(self, run_id: str, attempt: int) -> bool:
        return self._intend(run_id, attempt, Intent.CANCEL, "cancelled at the worker")

    def release(self, run_id: str, attempt: int) -> bool:
        return self._intend(run_id, attempt, Intent.RELEASE, "released at the worker")

    def try_now(self) -> None:
        self._link.try_now()
        for wake in (
            self._wakes.beat,
            self._wakes.claim,
            self._wakes.deliver,
            self._wakes.children,
            self._wakes.reconcile,
        ):
            wake.set()

    def settings(self) -> dict[str, Any]:
        return self._settings.shown

    def reload(self) -> Reloaded:
        reloaded = self._settings.reload()
        self.try_now()
        return reloaded

    def seen(self, key: int) -> None:
        if not self._journal.seen(key):
            raise KeyError(key)

    def _intend(self, run_id: str, attempt: int, intent: Intent, note: str) -> bool:
        rows = [row for row in self._journal.active() if (row.run_id, row.attempt) == (run_id, attempt)]
        intended = [self._intents.intend(row, intent, note) for row in rows if row.outcome is None]
        return any(intended)
