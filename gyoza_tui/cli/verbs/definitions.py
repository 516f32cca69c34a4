"""`definitions`: the ops that the server knows by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli.completion.candidates import complete_definition
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.models.definitions import OpDefinition

EXAMPLES: Final = examples(
    "gyoza-tui definitions",
    "gyoza-tui definitions train",
    "gyoza-tui definitions train@1.0 --json",
)


@with_connection
def definitions(
    flags: Connection,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME@VERSION",
            help="Only this op's, with all that they say.",
            show_default=False,
            autocompletion=complete_definition,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the op definitions.

    Their versions, the one deployed last first, images, and inputs with types and defaults.
    """
    from gyoza_tui.cli import connection, terminal

    with connection.connected(flags) as at:
        found = at.client.list_definitions()[::-1]
    if name is not None:
        found = _named(found, name)
    found.sort(key=lambda each: each.id)
    if as_json:
        terminal.out_json([each.model_dump(mode="json") for each in found])
    elif name is not None:
        for each in found:
            for line in _described(each):
                terminal.out(line)
    elif not found:
        terminal.say("no definition is known; `gyoza-tui deploy` makes one")
    else:
        terminal.table(
            ["NAME", "VERSION", "IMAGE", "INPUTS"],
            [[(each.id, ""), (each.version, ""), (each.image, ""), (_inputs(each), "")] for each in found],
            elastic={"NAME", "IMAGE", "INPUTS"},
        )


def _named(known: list[OpDefinition], name: str) -> list[OpDefinition]:
    op, _, version = name.partition("@")
    found = [each for each in known if each.id == op and version in ("", each.version)]
    if found:
        return found
    versions = [each.version for each in known if each.id == op]
    if versions:
        there = ", ".join(map(visible, versions))
        raise CliError(f"{visible(op)} has no version {visible(version)}; there are {there}")
    names = sorted({each.id for each in known})
    raise CliError(f"there is no definition {visible(op)}; there are {', '.join(map(visible, names)) or 'none'}")


def _inputs(definition: OpDefinition) -> str:
    from gyoza_tui.cli.definition_lookup import input_words

    return ", ".join(f"{name}: {input_words(spec)}" for name, spec in definition.input_specs.items())


def _described(definition: OpDefinition) -> Iterator[str]:
    from gyoza_tui.cli.definition_lookup import input_words
    from gyoza_tui.cli.printing import run_words

    yield visible(f"{definition.id}@{definition.version}")
    for name, value in {"image": definition.image, **run_words.asked_for(definition)}.items():
        if value:
            yield f"  {name:<9}{visible(value)}"
    for name, spec in definition.input_specs.items():
        yield f"  input    {visible(name)}: {visible(input_words(spec))}"
    for name, output in definition.output_specs.items():
        yield f"  output   {visible(name)}: {output.type}"
