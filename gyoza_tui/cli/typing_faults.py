"""What was wrong with a command line, in words: those of the parser, and what it does not know to say."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typer

_ALIKE: Final = 0.6
"""Of two names without their dashes, as `difflib` counts."""


def words(error: typer.TyperException, arguments: list[str]) -> str:
    """`error` is about these `arguments`."""
    at: typer.Context | None = getattr(error, "ctx", None)
    said = error.format_message().expandtabs(2)
    if typed := getattr(error, "option_name", None):
        said = _no_option(typed, getattr(error, "possibilities", None) or [])
        if (term := _term(typed, arguments)) and at is not None and _takes_terms(at):
            said += f". What begins with `-` and is no option goes behind `--`: {at.command_path} ... -- {term}"
    return f"{said}\nTry `{at.command_path if at else 'gyoza-tui'} --help`."


def _no_option(typed: str, known: list[str]) -> str:
    names = {name.lstrip("-"): name for name in known}
    near = [names[name] for name in get_close_matches(typed.lstrip("-"), names, cutoff=_ALIKE)]
    return f"No such option: {typed}" + (f" (did you mean {' or '.join(near)}?)" if near else "")


def _term(option: str, arguments: list[str]) -> str | None:
    """The argument of which the parser has taken the beginning for an option: `-state:completed`, `-3`."""
    if option.startswith("--"):
        return None
    return next(
        (each for each in arguments if each.startswith(option) and (each != option or each[1:].isdigit())), None
    )


def _takes_terms(at: typer.Context) -> bool:
    return any("FILTER" in (parameter.metavar or "") for parameter in at.command.params)
