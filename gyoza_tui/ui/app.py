"""The app: screens and global keys, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import Worker
from textual.worker import WorkerState as TaskState

from gyoza_tui.models.workers import WorkerState
from gyoza_tui.ui import theme_file
from gyoza_tui.ui.background import in_background
from gyoza_tui.ui.commanding import command
from gyoza_tui.ui.duty_workers import FOLLOWERS, follow
from gyoza_tui.ui.keys import questions, refusals
from gyoza_tui.ui.keys.commands import commands
from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.keys.key_turns import KeyTurns
from gyoza_tui.ui.keys.questions import Way
from gyoza_tui.ui.leaving import Leave
from gyoza_tui.ui.off_loop import aside
from gyoza_tui.ui.options import LOG_S, SNAPSHOT_S, UiOptions
from gyoza_tui.ui.run import tools as run_tools
from gyoza_tui.ui.screens.dialog import Confirm
from gyoza_tui.ui.screens.help import HelpScreen
from gyoza_tui.ui.screens.main import MainScreen
from gyoza_tui.ui.screens.palette import Palette
from gyoza_tui.ui.screens.quit import QuitDialog
from gyoza_tui.ui.theme import dress
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.tty.driver import GyozaDriver
from gyoza_tui.ui.tty.textual_internals import driver_of
from gyoza_tui.worker.view.control import Ending, WorkerControl
from gyoza_tui.worker.view.snapshot import RunView, Snapshot


@runtime_checkable
class ShowsSnapshot(Protocol):
    """A screen that wants each picture of the worker; the first one it takes itself, when it is mounted."""

    def show_snapshot(self, snapshot: Snapshot) -> None: ...


@runtime_checkable
class ShowsLog(Protocol):
    """A screen with a log that grows."""

    def look_at_log(self) -> None: ...


class GyozaApp(App[Leave], inherit_bindings=False):
    """Opens on a worker that runs already; its end, however it comes, does nothing to the worker."""

    TITLE = "gyoza-tui"
    CSS_PATH = "gyoza.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.APP)
    ENABLE_COMMAND_PALETTE = False
    """Textual's own key for it; `action_palette` opens it."""
    ESCAPE_TO_MINIMIZE = False
    """Else Textual takes esc before any binding."""

    def __init__(
        self, control: WorkerControl, options: UiOptions | None = None, driver_class: type[Driver] | None = None
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.control = control
        self.options = options or UiOptions()
        self.snapshot = control.snapshot()
        self.turns = KeyTurns(self, super().on_event)
        self.set_keymap(self.options.keymap)
        dress(self, self.options.theme, self.options.theme_file)

    def get_default_screen(self) -> MainScreen:
        return MainScreen(self.control, self.options)

    def on_mount(self) -> None:
        for duty in self.snapshot.duties:
            self._follow(duty.name)
        if self.options.clock.ticking:
            self.set_interval(SNAPSHOT_S, self.tick)
            self.set_interval(LOG_S, self.tick_log)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """The runtime starts a duty that died again: so does the task that follows it."""
        if event.worker.group == FOLLOWERS and event.state is TaskState.ERROR:
            self._follow(event.worker.name)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self.turns.take(event)
        else:
            await super().on_event(event)

    def on_key_turns_passed(self, message: KeyTurns.Passed) -> None:
        message.arrived.set()

    def tick(self) -> None:
        """Take one snapshot and show it."""
        self.snapshot = self.control.snapshot()
        with self.batch_update():
            for screen in self.screen_stack:
                if screen.is_mounted and isinstance(screen, ShowsSnapshot):
                    screen.show_snapshot(self.snapshot)

    def tick_log(self) -> None:
        """Let the log that is to be seen look for new lines, also below a dialog."""
        for screen in reversed(self.screen_stack):
            if screen.is_mounted and isinstance(screen, ShowsLog):
                screen.look_at_log()
            if not screen.is_modal:
                break

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        return commands(self, screen, self.wear, attached=self.options.attached)

    def wear(self, theme: str) -> None:
        """Put on that theme, and keep it for the next start."""
        self.theme = theme
        if path := self.options.theme_file:
            in_background(self, partial(self._keep_theme, path, theme), group="theme", exclusive=True)

    async def _keep_theme(self, path: Path, theme: str) -> None:
        try:
            await aside(partial(theme_file.keep, path, theme))
        except OSError as error:
            say(self.screen, f"the theme is not kept: {path}: {error.strerror}", "warning")

    def action_help(self) -> None:
        self.push_screen(HelpScreen(self.screen, self.options))

    def action_palette(self) -> None:
        self.push_screen(Palette())

    async def action_pause(self) -> None:
        if self._refused(refusals.pause(self.snapshot)):
            return
        if self.snapshot.state is WorkerState.PAUSED:
            await self._claim_again(self.control.resume)
        else:
            await self._command(self.control.pause)

    async def action_try_now(self) -> None:
        if not self._refused(refusals.try_now(self.snapshot)):
            say(self.screen, "trying the server now")
            await self._command(self.control.try_now)

    async def action_drain(self) -> None:
        if self._refused(refusals.drain(self.snapshot)):
            return
        if self.snapshot.state is WorkerState.DRAINING:
            await self._claim_again(self.control.undo_drain)
        else:
            self.push_screen(Confirm(questions.drain(self.snapshot, self.options.keymap)), self._drain)

    def action_cancel_all(self) -> None:
        if not self._refused(refusals.stop_all(self.snapshot)):
            self._ask_cancel_all(exits=False)

    def action_mouse(self) -> None:
        driver = driver_of(self)
        if not isinstance(driver, GyozaDriver):
            say(self.screen, "this terminal's mouse cannot be switched")
        elif driver.switch_mouse():
            say(self.screen, "the mouse is the app's again")
        else:
            say(self.screen, "the mouse is the terminal's now: it selects as everywhere")

    def action_copy_or_quit(self) -> None:
        if copies := run_tools.selected_text(self.screen):
            in_background(self, copies)
        else:
            self.interrupt()

    def action_suspend(self) -> None:
        question = questions.suspend(self.snapshot)
        self.push_screen(Confirm(question), lambda yes: self.exit(Leave.BACKGROUND) if yes else None)

    async def action_quit(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
        else:
            self.ask_quit()

    def interrupt(self) -> None:
        """What Ctrl-C means where nothing is selected."""
        self.ask_quit()

    async def _claim_again(self, act: Callable[[], None]) -> None:
        """At once, or by a dialog where the server wants the worker as it is."""
        if self.snapshot.wanted is None:
            await self._command(act)
        else:
            question = questions.override(self.snapshot, self.options.clock.zone)
            self.push_screen(Confirm(question), partial(self._override, self.snapshot.wanted.seq, act))

    async def _override(self, seq: int, act: Callable[[], None], yes: bool | None) -> None:
        if not yes:
            return
        self.tick()
        if self.snapshot.wanted is None or self.snapshot.wanted.seq != seq:
            say(self.screen, "what the server wants has changed meanwhile: nothing was done")
        else:
            await self._command(act)

    def _follow(self, duty: str) -> None:
        in_background(self, partial(follow, self.control, duty), name=duty, group=FOLLOWERS, exit_on_error=False)

    def _refused(self, why: str | None) -> bool:
        why = refusals.lost(self.control.contact()) or why
        if why:
            say(self.screen, why)
        return why is not None

    def ask_quit(self) -> None:
        self.push_screen(QuitDialog(self.snapshot, self.options), self._leave)

    async def _leave(self, way: Way | None) -> None:
        match way:
            case Way.BACKGROUND:
                self.exit(Leave.BACKGROUND)
            case Way.DRAIN:
                await self._drain()
            case Way.DETACH:
                if await self._command(partial(self.control.end, Ending.DETACH)):
                    self.exit(Leave.ENDED)
            case Way.CANCEL_ALL if refusals.stoppable(self.snapshot):
                self._ask_cancel_all(exits=True)
            case Way.CANCEL_ALL:
                await self._drain()

    def _ask_cancel_all(self, *, exits: bool) -> None:
        runs = refusals.stoppable(self.snapshot)
        question = questions.cancel_all(runs, self.snapshot, exits=exits)
        self.push_screen(Confirm(question), partial(self._cancel_all, runs, exits))

    async def _cancel_all(self, runs: tuple[RunView, ...], exits: bool, yes: bool | None) -> None:
        if not yes:
            return
        if exits:
            await self._drain()
        await self._command(lambda: [self.control.cancel(run.run_id, run.attempt) for run in runs])

    async def _drain(self, yes: bool | None = True) -> None:
        if yes:
            await self._command(partial(self.control.end, Ending.DRAIN))

    async def _command(self, call: Callable[[], object]) -> bool:
        """Do it, and show what comes of it at once; whether it was done."""
        done = await command(self.screen, self.control, call)
        self.tick()
        return done
