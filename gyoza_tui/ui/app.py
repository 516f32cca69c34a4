"""The app: screens and global keys, nothing else."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from textual.app import App
from textual.binding import BindingType
from textual.driver import Driver

from gyoza_tui.ui.actions import Scope, bindings
from gyoza_tui.ui.duties import follow
from gyoza_tui.ui.options import LOG_S, SNAPSHOT_S, UiOptions
from gyoza_tui.ui.screens.main import MainScreen
from gyoza_tui.worker.control import WorkerControl
from gyoza_tui.worker.snapshot import Snapshot


@runtime_checkable
class ShowsSnapshot(Protocol):
    """A screen that wants each picture of the worker; the first one it takes itself, when it is mounted."""

    def show_snapshot(self, snapshot: Snapshot) -> None: ...


@runtime_checkable
class ShowsLog(Protocol):
    """A screen with a log that grows."""

    def look_at_log(self) -> None: ...


class GyozaApp(App[None]):
    """Opens on a worker that runs already; its end, however it comes, does nothing to the worker."""

    TITLE = "gyoza-tui"
    CSS_PATH = "gyoza.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.APP)

    def __init__(
        self, control: WorkerControl, options: UiOptions | None = None, driver_class: type[Driver] | None = None
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.control = control
        self.options = options or UiOptions()
        self.snapshot = control.snapshot()

    def get_default_screen(self) -> MainScreen:
        return MainScreen(self.control, self.options)

    def on_mount(self) -> None:
        for duty in self.snapshot.duties:
            self.run_worker(follow(self.control, duty.name), name=duty.name, group="worker", exit_on_error=False)
        if self.options.clock.ticking:
            self.set_interval(SNAPSHOT_S, self.tick)
            self.set_interval(LOG_S, self.tick_log)

    def tick(self) -> None:
        """Take one snapshot and show it."""
        self.snapshot = self.control.snapshot()
        with self.batch_update():
            for screen in self.screen_stack:
                if screen.is_mounted and isinstance(screen, ShowsSnapshot):
                    screen.show_snapshot(self.snapshot)

    def tick_log(self) -> None:
        """Let the log on the screen look for new lines."""
        if isinstance(self.screen, ShowsLog):
            self.screen.look_at_log()
