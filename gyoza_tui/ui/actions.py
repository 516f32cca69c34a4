"""Every action of the app, once: bindings, key bar, help, palette and the user's keymap come from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from textual.binding import Binding, BindingType


class Scope(StrEnum):
    """Where an action's keys are bound, and which class has its method `action_<id>`."""

    APP = "app"
    """GyozaApp: everywhere."""
    MAIN = "main"
    """MainScreen, whatever panel has the focus."""
    RUN = "run"
    """MainScreen and RunScreen: about the run that is shown."""
    RUNS = "runs"
    """The run list."""
    LOG = "log"
    """The log pane; on screens with a log pane from any panel, when the focused one does not have the key."""


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    """Also the name of the method: `action_<id>`."""
    keys: str
    """Comma-separated."""
    label: str
    """In the key bar."""
    tooltip: str
    """A sentence, in help and palette."""
    scope: Scope
    in_bar: bool = False


ACTIONS: Final[tuple[Action, ...]] = (
    Action("quit", "q,ctrl+q", "leave", "Leave: asks what becomes of the worker and its runs.", Scope.APP, True),
)


def bindings(scope: Scope) -> list[BindingType]:
    """The bindings of one scope, for the class that has its methods."""
    return [
        Binding(action.keys, action.id, action.label, show=action.in_bar, tooltip=action.tooltip, id=action.id)
        for action in ACTIONS
        if action.scope is scope
    ]
