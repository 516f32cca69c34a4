"""`check`: what a worker of this machine needs, each with what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.worker.view.check import Check

EXAMPLES: Final = examples(
    "gyoza-tui check",
    "gyoza-tui check --server http://gpu-box:5555 --api-key-file ~/.gyoza-key",
    "gyoza-tui check --json | jq '.[] | select(.state == \"failed\")'",
)
TIMEOUT_S: Final = 5.0
_WORDS: Final = {"ok": "ok", "waiting": "unknown", "warning": "warning", "failed": "FAILED"}
_NAME: Final = 12
_INDENT: Final = " " * (max(map(len, _WORDS.values())) + 2 + _NAME + 1)


@with_connection
def check(flags: Connection, as_json: options.AsJson = False) -> None:
    """Look whether a worker could run here: server, key, Docker, GPUs, disk, settings.

    Changes nothing: the container that it tries to start is removed. What fails comes with the command that mends it;
    then the exit code is 1.
    """
    from gyoza_tui.cli import terminal
    from gyoza_tui.cli.failures import ExitCode
    from gyoza_tui.worker.view.check import CheckState

    found = _checks(flags)
    if as_json:
        terminal.out_json([each._asdict() for each in found])
    else:
        for each in found:
            _print(each)
    if any(each.state is CheckState.FAILED for each in found):
        raise typer.Exit(ExitCode.FAILED)


def _checks(flags: Connection) -> tuple[Check, ...]:
    from gyoza_tui.cli import connection
    from gyoza_tui.cli.verbs import check_facts
    from gyoza_tui.settings import SettingsError, load
    from gyoza_tui.worker.view.check import Check, CheckState
    from gyoza_tui.worker.view.checks import checklist

    try:
        settings = load(**flags.as_settings())
        with connection.connected_by(settings, TIMEOUT_S) as at:
            found, asked = check_facts.ask(settings, at.client)
            return checklist(found, asked, own_ops=found.own_ops)
    except SettingsError as error:
        mend = "mend that and check again; nothing else can be judged before"
        return tuple(Check("settings", CheckState.FAILED, line, mend) for line in str(error).splitlines())


def _print(check: Check) -> None:
    from gyoza_tui.cli import terminal

    word = f"{_WORDS[check.state]:<{len(_INDENT) - _NAME - 1}}"
    terminal.out(f"{word}{check.name:<{_NAME}} {visible(check.text)}".rstrip())
    if check.mend:
        terminal.out(f"{_INDENT}{visible(check.mend)}")
