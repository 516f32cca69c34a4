"""Examples in a verb's help."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.verb_table import VERBS
from tests.cli.conftest import Verb

LONG = "gyoza-tui runs state:failed" + " op:train" * 12


def test_each_example_is_a_line_that_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command(epilog=examples("gyoza-tui runs", LONG))
    def verb() -> None:
        """A verb."""

    app(["--help"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[-3:] == ["  Examples:", "    gyoza-tui runs", f"    {LONG}"]


EXAMPLES = re.compile(r"^  Examples:\n((?:    \S.*\n)+)\Z", re.MULTILINE)


@pytest.mark.parametrize("name", sorted(VERBS.keys() - {"config"}))  # a group: `config show` has some
def test_every_verb_has_some_of_its_own_that_it_understands(name: str, verb: Verb, built: Any) -> None:
    said = verb(name, "--help")
    found = EXAMPLES.search(said.out)
    assert found, said.out
    assert f"gyoza-tui {name}" in found[1]
    command = built.commands[name]
    for line in found[1].splitlines():
        typed = re.split(r"\s[|#>]\s|\)\"", line.partition(f"gyoza-tui {name}")[2])[0]
        command.make_context(name, shlex.split(typed))  # raises what a person would be told
