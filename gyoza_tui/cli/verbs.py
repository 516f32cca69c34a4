"""The verbs, each loaded when it is asked for: neither a worker nor a verb waits for the others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from gyoza_tui.cli.with_command import WithCommand


class _Verb(NamedTuple):
    """A function, or a `typer.Typer` with verbs of its own, by the verb's name in a module of this package."""

    module: str
    examples: str = "EXAMPLES"
    kind: type[TyperCommand] = TyperCommand


VERBS: Final = {
    "serve": _Verb("serve"),
    "submit": _Verb("submit", kind=WithCommand),
    "deploy": _Verb("deploy"),
    "init": _Verb("init"),
    "run": _Verb("run_op", kind=WithCommand),
    "definitions": _Verb("definitions"),
    "runs": _Verb("runs"),
    "show": _Verb("show"),
    "logs": _Verb("logs"),
    "cancel": _Verb("run_changes", "CANCEL_EXAMPLES"),
    "retry": _Verb("run_changes", "RETRY_EXAMPLES"),
    "priority": _Verb("run_changes", "PRIORITY_EXAMPLES"),
    "workers": _Verb("workers"),
    "events": _Verb("events"),
    "check": _Verb("check"),
    "completion": _Verb("completion"),
    "config": _Verb("config"),
}


class VerbGroup(TyperGroup):
    """The root of the command line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Loaded()


class _Loaded(MutableMapping[str, Any]):
    """The commands by name, in the order of the help."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = dict.fromkeys(VERBS)

    def __getitem__(self, name: str) -> Any:
        if self._known[name] is None:
            self._known[name] = _command(name, VERBS[name])
        return self._known[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _command(name: str, verb: _Verb) -> Any:
    module = import_module(f"gyoza_tui.cli.{verb.module}")
    found = getattr(module, name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(name, cls=verb.kind, epilog=getattr(module, verb.examples))(found)
        return typer.main.get_command(alone)
    command = typer.main.get_command(found)
    command.name = name
    return command
