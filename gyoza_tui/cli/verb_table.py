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
    summary: str
    """One line for the list of verbs, which is printed without loading any."""
    examples: str = "EXAMPLES"
    kind: type[TyperCommand] = TyperCommand
    only_tells: bool = False
    """It neither changes nor judges anything."""


VERBS: Final = {
    "serve": _Verb("serve", "Serve a gyoza cluster."),
    "submit": _Verb("submit", "Submit a run of a definition or of an image.", kind=WithCommand),
    "deploy": _Verb("deploy", "Bring the definitions of a file to the server."),
    "init": _Verb("init", "Write an op that builds, runs and deploys."),
    "run": _Verb("run", "Run an op once on this machine, without a server.", kind=WithCommand),
    "definitions": _Verb("definitions", "List the op definitions.", only_tells=True),
    "runs": _Verb("runs", "List runs, newest first.", only_tells=True),
    "show": _Verb("show", "Print the details of a run.", only_tells=True),
    "logs": _Verb("logs", "Print a run's output.", only_tells=True),
    "watch": _Verb("watch", "Wait for runs to end, and print each."),
    "cancel": _Verb("change", "Cancel runs that wait or run.", "CANCEL_EXAMPLES"),
    "retry": _Verb("change", "Queue runs again that failed or were cancelled.", "RETRY_EXAMPLES"),
    "priority": _Verb("change", "Change the priority of runs.", "PRIORITY_EXAMPLES"),
    "freeze": _Verb("freeze", "Freeze runs at work.", "FREEZE_EXAMPLES"),
    "thaw": _Verb("freeze", "Let frozen runs go on.", "THAW_EXAMPLES"),
    "hold": _Verb("hold", "Hold back runs that wait.", "HOLD_EXAMPLES"),
    "unhold": _Verb("hold", "Let runs that were held go to workers again.", "UNHOLD_EXAMPLES"),
    "release": _Verb("hold", "Have workers stop runs and give them back, to run elsewhere.", "RELEASE_EXAMPLES"),
    "workers": _Verb("workers", "List the workers.", only_tells=True),
    "attach": _Verb("attach", "Open the screen of a worker that runs on this machine."),
    "status": _Verb("status", "Print whether a worker on this machine takes runs."),
    "pause": _Verb("pause", "Have a worker claim nothing new."),
    "resume": _Verb("resume", "Have a paused worker claim runs again."),
    "drain": _Verb("drain", "Have a worker finish its runs and exit."),
    "stop": _Verb("stop", "End a worker on this machine."),
    "now": _Verb("now", "Have a worker on this machine try its server now."),
    "reload": _Verb("reload", "Have a worker on this machine read its settings again."),
    "events": _Verb("events", "Print the events of a topic's runs.", only_tells=True),
    "check": _Verb("check", "Check whether a worker could run here."),
    "completion": _Verb("completion", "Print the completion script of a shell.", only_tells=True),
    "config": _Verb("config", "Show the settings.", only_tells=True),
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

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of verbs from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])

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
        epilog = getattr(module, verb.examples)
        alone.command(name, cls=verb.kind, short_help=verb.summary, epilog=epilog)(found)
        return typer.main.get_command(alone)
    command = typer.main.get_command(found)
    command.name, command.short_help = name, verb.summary
    return command
