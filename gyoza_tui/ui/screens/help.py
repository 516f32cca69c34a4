"""What every key does: those of the focused panel first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from gyoza_tui.ui.keys.key_names import keys_of, written
from gyoza_tui.ui.keys.key_table import ACTIONS, Action, Scope, actions
from gyoza_tui.ui.options import UiOptions

_TITLES: Final = {
    Scope.LOG: "Log",
    Scope.RUNS: "Run list",
    Scope.TABS: "Run screen",
    Scope.RUN: "The run",
    Scope.MAIN: "Main screen",
    Scope.APP: "Everywhere",
}


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    DEFAULT_CSS = """
    HelpScreen { background: $background; }
    HelpScreen VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,ctrl+q,ctrl+c", "dismiss", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]
    AUTO_FOCUS = "VerticalScroll"

    def __init__(self, asked_on: Screen[object], options: UiOptions) -> None:
        super().__init__()
        self._text = help_text(focused_scopes(asked_on), options.keymap, attached=options.attached)

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._text)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def focused_scopes(screen: Screen[object]) -> tuple[Scope, ...]:
    """The scopes whose keys the focused panel has of its own."""
    scopes = {action.id: action.scope for action in ACTIONS}
    found = {
        scopes[bound.binding.id]
        for bound in screen.active_bindings.values()
        if bound.binding.id in scopes and bound.node not in (screen, screen.app)
    }
    return tuple(scope for scope in _TITLES if scope in found)


def help_text(first: tuple[Scope, ...], keymap: Mapping[str, str], *, attached: bool = False) -> Table:
    """All actions by scope, those of `first` at the top."""
    table = Table.grid(padding=(0, 2, 0, 0))
    closing = Text("↑ ↓ scroll · the names are those of GYOZA_UI_KEYMAP", "dim")
    table.add_row(Text("Keys", "bold"), Text("esc closes", "dim"), closing)
    for scope in (*first, *(scope for scope in _TITLES if scope not in first)):
        table.add_row()
        table.add_row(Text(_TITLES[scope], "bold"), Text("focused" if scope in first else "", "dim"))
        for action in actions(attached=attached):
            if action.scope is scope:
                table.add_row(*_row(action, keymap))
    return table


def _row(action: Action, keymap: Mapping[str, str]) -> tuple[Text, Text, Text]:
    keys = " ".join(written(key) for key in keys_of(action, keymap)) or ": only"
    return Text(f"  {keys}", "bold", no_wrap=True), Text(action.id, no_wrap=True), Text(action.tooltip, "dim")
