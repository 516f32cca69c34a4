"""A command line and what it comes to: the parser is loaded here, for a start without any has nothing to parse."""

from __future__ import annotations

import os

import typer

from gyoza_tui.cli import PROGRAM, SHELL_ASKS
from gyoza_tui.cli.app import app
from gyoza_tui.cli.failures import usage


def carried_out(arguments: list[str]) -> object:
    """What the verb returned; CliError for what cannot be parsed, ReaderGone, KeyboardInterrupt."""
    if SHELL_ASKS in os.environ:
        from gyoza_tui.cli.completion import shells

        shells.answer()
    try:
        return app(arguments, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        from gyoza_tui.cli import typing_faults

        raise usage(typing_faults.words(error, arguments)) from None
    except typer.Abort:
        raise KeyboardInterrupt from None
