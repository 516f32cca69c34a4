"""`docs/cli.md`, made from the commands: `make docs`. A test fails when it is stale."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

import typer

from gyoza_tui.cli.app import app

PATH: Final = Path(__file__).parents[1] / "docs" / "cli.md"
COMMON: Final = ("server", "api_key_file", "state_dir", "worker_id", "env_file", "help")
"""Told once: every verb that asks a server takes them, before its name or behind it."""
_INTRO: Final = """\
# gyoza-tui(1)

Made from the commands by `make docs`; `--help` behind a verb says the same. Settings that are no flags are in the
[README](../README.md#settings).
"""


def page() -> str:
    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="gyoza-tui")
    blocks = [_INTRO, *_section(root, context), *_common(root, context)]
    for name in root.list_commands(context):
        blocks += _tree(root.get_command(context, name), name, context)
    return "\n".join(blocks)


def _tree(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent)
    if not hasattr(command, "list_commands"):
        yield from _section(command, context)
        return
    for each in command.list_commands(context):
        yield from _tree(command.get_command(context, each), each, context)


def _section(command: Any, context: Any) -> Iterator[str]:
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"## {context.command_path}\n"
    yield f"```\n{context.command_path} {pieces}\n```\n"
    yield cleandoc(command.help or "") + "\n"
    own = [one for one in command.get_params(context) if context.parent is None or one.name not in COMMON]
    yield from _parameters(own, context)
    if command.epilog:
        lines = [line.strip() for line in command.epilog.splitlines()[2:]]
        yield "\n".join(["```sh", *lines, "```", ""])


def _common(root: Any, context: Any) -> Iterator[str]:
    yield "## Flags of every verb that asks a server\n"
    yield from _parameters([one for one in root.get_params(context) if one.name in COMMON], context)


def _parameters(parameters: list[Any], context: Any) -> Iterator[str]:
    records = [record for one in parameters if (record := one.get_help_record(context))]
    lines = [f"* `{re.sub(r' <[^>]*>$', '', names)}`" + (f": {words}" if words else "") for names, words in records]
    if lines:
        yield "\n".join([*lines, ""])


def main() -> None:
    PATH.write_text(page())


if __name__ == "__main__":
    main()
