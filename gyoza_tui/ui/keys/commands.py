"""What the command palette offers on a screen: the table's actions, then the themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen

from gyoza_tui.ui.keys.key_names import written
from gyoza_tui.ui.keys.key_table import Action, Scope, actions


def commands(
    app: App[Any], screen: Screen[object], wear: Callable[[str], None], *, attached: bool
) -> Iterator[SystemCommand]:
    """By what can be pressed on that screen now, and what has no key; `wear` puts on the theme of that name."""
    active = {bound.binding.id: bound for bound in reversed(screen.active_bindings.values())}
    for action in actions(attached=attached):
        if bound := active.get(action.id):
            run = partial(app.run_action, bound.binding.action, bound.node)
            yield SystemCommand(title(action), f"{written(bound.binding.key)}  {action.tooltip}", run)
        elif node := _without_key(action, app, screen):
            yield SystemCommand(title(action), action.tooltip, partial(app.run_action, action.id, node))
    for name in sorted(app.available_themes):
        yield SystemCommand(f"Theme {name}", "Wear this theme.", partial(wear, name))


def title(action: Action) -> str:
    """`…` as everywhere: it asks first."""
    return f"{action.label.capitalize()}{'…' if action.confirms else ''}"


def _without_key(action: Action, app: App[Any], screen: Screen[object]) -> DOMNode | None:
    if action.keys:
        return None
    if action.scope is Scope.APP:
        return app
    return screen if action.scope is Scope.RUN and hasattr(screen, f"action_{action.id}") else None
