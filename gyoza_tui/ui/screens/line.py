"""One line of a log, wholly."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen

from gyoza_tui.models.limits import KIB
from gyoza_tui.ui.keys.key_table import Scope, bindings
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.panels.log_keys import LogKeys
from gyoza_tui.ui.widgets.log_view import LogView
from gyoza_tui.ui.widgets.rule import Rule
from gyoza_tui.worker.view.control import LogHits, LogPage, LogQuery, WorkerControl

_LINE_MAX: Final = 256 * KIB


class OneLine:
    """A log that is one line of another."""

    def __init__(self, control: WorkerControl, key: int, number: int) -> None:
        self._control = control
        self._key = key
        self._number = number

    def lines(self, start: int, count: int) -> LogPage:
        found = self._control.log_lines(self._key, self._number, 1, _LINE_MAX).lines
        return LogPage(tuple(line._replace(number=0) for line in found), len(found))

    def search(self, query: LogQuery, line: int, *, backwards: bool = False) -> LogHits:
        return LogHits((), None)


class LineScreen(Screen[None], LogKeys, inherit_bindings=False):
    """Wrapped, from its begin on; the keys of a log move about in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.LOG),
        Binding("escape", "dismiss", "back", show=False),
    ]

    def __init__(self, control: WorkerControl, options: UiOptions, key: int, number: int) -> None:
        super().__init__()
        self._options = options
        self._number = number
        self._line = OneLine(control, key, number)

    def compose(self) -> ComposeResult:
        yield Rule(Content(f"Line {self._number + 1:,}"))
        yield LogView(self._options, line_max=_LINE_MAX)

    def on_mount(self) -> None:
        view = self.log_view
        view.toggle_wrap()
        view.open(self._line)
        view.go_to_first()

    def look_at_log(self) -> None:
        self.log_view.look()

    def action_log_line(self) -> None:
        self.dismiss()
