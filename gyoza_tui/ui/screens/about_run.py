"""What every screen that shows a run can do with it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.screen import Screen

from gyoza_tui.ui.actions import Scope, bindings
from gyoza_tui.worker.snapshot import RunView


class AboutRun(Screen[None], inherit_bindings=False):
    """MainScreen and RunScreen. Subclasses say which run is meant, and have `action_find` and `action_back`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RUN) + bindings(Scope.LOG, through="log")

    @property
    def shown_run(self) -> RunView | None:
        """The run that an action pressed now is about; None: there is none."""
        raise NotImplementedError
