"""The verbs, each loaded when it is asked for: neither a worker nor a verb waits for the others."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from gyoza_tui.cli.failures import ReaderGone
from gyoza_tui.cli.flags.with_command import WithCommand


class _Verb(NamedTuple):
    """A function, or a `typer.Typer` with verbs of its own, by the verb's name in a module of this package."""

    module: str
    examples: str = "EXAMPLES"
    kind: type[TyperCommand] = TyperCommand
    only_tells: bool = False
    """It neither changes nor judges anything."""


VERBS: Final = {
    "serve": _Verb("serve"),
    "submit": _Verb("submit", kind=WithCommand),
    "deploy": _Verb("deploy"),
    "init": _Verb("init"),
    "run": _Verb("run", kind=WithCommand),
    "definitions": _Verb("definitions", only_tells=True),
    "runs": _Verb("runs", only_tells=True),
    "show": _Verb("show", only_tells=True),
    "logs": _Verb("logs", only_tells=True),
    "cancel": _Verb("change", "CANCEL_EXAMPLES"),
    "retry": _Verb("change", "RETRY_EXAMPLES"),
    "priority": _Verb("change", "PRIORITY_EXAMPLES"),
    "workers": _Verb("workers", only_tells=True),
    "attach": _Verb("attach"),
    "status": _Verb("status"),
    "pause": _Verb("pause"),
    "resume": _Verb("resume"),
    "drain": _Verb("drain"),
    "stop": _Verb("stop"),
    "now": _Verb("now"),
    "reload": _Verb("reload"),
    "events": _Verb("events", only_tells=True),
    "check": _Verb("check"),
    "completion": _Verb("completion", only_tells=True),
    "config": _Verb("config", only_tells=True),
}


class VerbGroup(TyperGroup):
    """The root of the command line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Loaded()

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Prints the help or the version, if asked."""
        try:
            return super().make_context(*arguments, **more)
        except BrokenPipeError:
            raise ReaderGone(told=True) from None

    def invoke(self, ctx: Any) -> Any:
        """Raises ReaderGone, which typer does not end by itself as it does a broken pipe."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            verb = VERBS.get(ctx.invoked_subcommand or "")
            raise ReaderGone(told=verb is not None and verb.only_tells) from None


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
    module = import_module(f"gyoza_tui.cli.verbs.{verb.module}")
    found = getattr(module, name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(name, cls=verb.kind, epilog=getattr(module, verb.examples))(found)
        return typer.main.get_command(alone)
    command = typer.main.get_command(found)
    command.name = name
    return command
