"""What every screen that shows a run can do with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

from textual.binding import BindingType

from gyoza_tui.ui.background import Work, in_background
from gyoza_tui.ui.commanding import command
from gyoza_tui.ui.keys import questions, refusals
from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.log import LogPane
from gyoza_tui.ui.run import tools as run_tools
from gyoza_tui.ui.screens.dialog import Confirm
from gyoza_tui.ui.screens.line import LineScreen
from gyoza_tui.ui.toasts import say
from gyoza_tui.ui.tty.textual_internals import TightScreen
from gyoza_tui.ui.widgets.key_bar import KeyBar
from gyoza_tui.worker.view.control import ControlError, WorkerControl
from gyoza_tui.worker.view.snapshot import Intent, RunView, Snapshot


@runtime_checkable
class HasText(Protocol):
    """A widget that knows what `c` copies when nothing is selected."""

    def text_to_copy(self) -> str | None: ...


class AboutRun(TightScreen[None], inherit_bindings=False):
    """MainScreen and RunScreen. What it asks is about the run at the key press, wherever the cursor is later."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RUN) + bindings(Scope.LOG, through="log")

    def __init__(self, control: WorkerControl, options: UiOptions) -> None:
        super().__init__()
        self._control = control
        self._options = options
        self._offered: object = None

    @property
    def shown_run(self) -> RunView | None:
        """The run that an action pressed now is about; None: there is none."""
        raise NotImplementedError

    def show_snapshot(self, snapshot: Snapshot) -> None:
        raise NotImplementedError

    def action_find(self) -> None:
        raise NotImplementedError

    def action_family(self) -> None:
        raise NotImplementedError

    def action_back(self) -> None:
        raise NotImplementedError

    def action_next_panel(self) -> None:
        raise NotImplementedError

    def action_previous_panel(self) -> None:
        raise NotImplementedError

    async def action_log(self, id_: str) -> None:
        """A key of the log pane, pressed elsewhere."""
        await self.app.run_action(id_, self.query_one("LogPane"))

    def offers(self, id_: str) -> bool:
        """Whether the key bar names it: pressed all the same, it says why it is not possible."""
        run = self.shown_run
        match id_:
            case "cancel":
                return run is not None and refusals.stopping(run, Intent.CANCEL) is None
            case "retry":
                return run is not None and self._retry_refusal(run) is None
            case _:
                return True

    def show_offers(self) -> None:
        """In the key bar, when they are others than before."""
        offered = [self.offers(id_) for id_ in ("cancel", "retry")]
        if offered != self._offered:
            self._offered = offered
            for bar in self.query(KeyBar):
                bar.show_offers()

    def action_cancel(self) -> None:
        if run := self._meant(partial(refusals.stopping, intent=Intent.CANCEL)):
            question = questions.cancel(run, self._control.snapshot())
            self.app.push_screen(Confirm(question), partial(self._stop, run, self._control.cancel))

    def action_release(self) -> None:
        if run := self._meant(partial(refusals.stopping, intent=Intent.RELEASE)):
            question = questions.release(run, self._control.snapshot())
            self.app.push_screen(Confirm(question), partial(self._stop, run, self._control.release))

    def action_freeze(self) -> None:
        if run := self._meant(refusals.freeze):
            question = questions.freeze(run, self._control.snapshot())
            self.app.push_screen(Confirm(question), partial(self._freeze, run, self._control.freeze))

    def action_thaw(self) -> None:
        if run := self._meant(refusals.thaw):
            question = questions.thaw(run, self._control.snapshot())
            self.app.push_screen(Confirm(question), partial(self._freeze, run, self._control.thaw))

    def action_retry(self) -> None:
        if run := self._meant(self._retry_refusal):
            question = questions.retry(run, self._control.snapshot())
            self.app.push_screen(Confirm(question), partial(self._retry, run.run_id))

    def on_log_pane_line_opened(self, event: LogPane.LineOpened) -> None:
        self.app.push_screen(LineScreen(self._control, self._options, event.key, event.number))

    def action_copy(self) -> None:
        if copies := run_tools.selected_text(self):
            in_background(self.app, copies)
            return
        focused = self.focused.ancestors_with_self if self.focused else ()
        text = next((node.text_to_copy() for node in focused if isinstance(node, HasText)), None)
        if text is None and self.shown_run is not None:
            text = self.shown_run.run_id
        if text is None:
            say(self, "no run is selected")
        elif text:
            in_background(self.app, partial(run_tools.copy, self, text))

    def action_save(self) -> None:
        if run := self._meant():
            in_background(self.app, partial(run_tools.save_log, self, self._control, run))

    def action_pager(self) -> None:
        if run := self._meant():
            self._lend_terminal(partial(run_tools.page_log, self, self._control, run))

    def action_shell(self) -> None:
        if run := self._meant(refusals.shell):
            self._lend_terminal(partial(run_tools.open_shell, self, self._control, run))

    def _lend_terminal(self, work: Work) -> None:
        in_background(self.app, work, group="terminal", exclusive=True)

    def _meant(self, refusal: Callable[[RunView], str | None] = lambda _: None) -> RunView | None:
        """The run, unless there is none, no worker that could do it, or the action is refused for it: which is said."""
        run = self.shown_run
        refused = "no run is selected" if run is None else refusals.lost(self._control.contact()) or refusal(run)
        if refused is None:
            return run
        say(self, refused)
        return None

    def _retry_refusal(self, run: RunView) -> str | None:
        return refusals.retry(run, self._control.snapshot())

    async def _stop(self, run: RunView, stop: Callable[[str, int], bool], yes: bool | None) -> None:
        def still_here() -> None:
            if not stop(run.run_id, run.attempt):
                raise ControlError(f"{run.run_id} has ended meanwhile")

        if yes:
            await command(self, self._control, still_here)
        self.show_snapshot(self._control.snapshot())

    def _freeze(self, run: RunView, call: Callable[[int], None], yes: bool | None) -> None:
        if yes:
            in_background(self.app, partial(run_tools.freeze, self, run, call))

    def _retry(self, run_id: str, yes: bool | None) -> None:
        if yes:
            in_background(self.app, partial(run_tools.retry, self, self._control, run_id))
