"""The manual is what the commands say, and every command line in the documents can be typed as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from gyoza_tui.cli import cli_docs
from gyoza_tui.cli.app import app
from gyoza_tui.models.definitions import InputSpec, OpDefinition
from tests.cli.conftest import Verb
from tests.commands import environment
from tests.servers import KEY, ServerThread

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
PROGRAMS = ("gyoza-tui", ".venv/bin/gyoza-tui")
OPERATORS = ("|", "||", "&", "&&", ";", ">", ">>", "(", ")", "<")
ASKING = ("cancel", "config", "completion", "definitions", "priority", "retry", "runs", "show", "submit", "workers")
"""Verbs that end by themselves wherever a server is."""
STAYING = ("--wait", "--logs", "--watch", "-f", "--follow")


class Line(NamedTuple):
    document: str
    number: int
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}:{self.number}: gyoza-tui {shlex.join(self.arguments)}"


def _command_lines(path: Path) -> Iterator[Line]:
    """Of the shell blocks, and of what is set as code in the text."""
    block = None
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if fence := re.match(r" *```(\w*)", text):
            block = None if block is not None else fence[1]
            continue
        pieces = [text] if block == "sh" else re.findall(r"`((?:\.venv/bin/)?gyoza-tui [^`]*)`", text)
        for piece in pieces if block in (None, "sh") else ():
            for arguments in _commands(piece):
                yield Line(path.name, number, arguments)


def _commands(text: str) -> Iterator[tuple[str, ...]]:
    """Each call of ours in a line of a shell, without what surrounds it."""
    text = re.sub(r"<(\w+)>", r"a1b2", text).replace('"$(', " ( ").replace(')"', " ) ")
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    words = list(lexer)
    for begin, word in enumerate(words):
        if word in PROGRAMS and (begin == 0 or words[begin - 1] in OPERATORS):
            rest = words[begin + 1 :]
            end = next((i for i, each in enumerate(rest) if each in OPERATORS), len(rest))
            yield tuple(rest[:end])


LINES = [line for path in DOCUMENTS for line in _command_lines(path)]


def _parsed(arguments: tuple[str, ...]) -> None:
    """As the command line does it, without doing what it says; raises typer.TyperException."""
    command: Any = typer.main.get_command(app)
    context, rest = None, list(arguments)
    name = "gyoza-tui"
    while True:
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not rest:
            return
        name, command, rest = command.resolve_command(context, rest)


def test_the_manual_is_up_to_date() -> None:
    assert cli_docs.PATH.read_text() == cli_docs.page(), "stale: run `make docs`"


def test_every_verb_has_examples() -> None:
    sections = cli_docs.page().split("\n## ")[1:]
    without = [each.partition("\n")[0] for each in sections if each.startswith("gyoza-tui") and "```sh" not in each]
    assert without == []


def test_the_documents_hold_command_lines() -> None:
    assert {line.document for line in LINES} >= {"README.md", "cli.md", "operating.md"}
    assert len(LINES) > 40


@pytest.mark.parametrize("line", LINES, ids=str)
def test_it_can_be_typed(line: Line) -> None:
    if "--version" in line.arguments:
        assert line.arguments == ("--version",), "eager: nothing beside it would be parsed"
        return
    _parsed(line.arguments)


@pytest.mark.parametrize("arguments", [("nosuch",), ("runs", "--nosuch"), ("--nosuch",), ("show",)])
def test_what_cannot_be_typed_is_seen(arguments: tuple[str, ...]) -> None:
    with pytest.raises(typer.TyperException):
        _parsed(arguments)


def _endless(arguments: tuple[str, ...]) -> bool:
    verb = next((word for word in arguments if not word.startswith("-")), "")
    return verb not in ASKING or any(flag in arguments for flag in STAYING)


@pytest.mark.parametrize("line", [line for line in LINES if not _endless(line.arguments)], ids=str)
def test_it_does_what_it_says(
    line: Line, verb: Verb, served: ServerThread, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a run, a definition and a file as the examples have them."""
    monkeypatch.setenv("TOKEN", "secret")
    (clean_environment / "inputs.json").write_text('{"epochs": 5}')
    specs = {"epochs": InputSpec(), "data": InputSpec(required=False)}
    served.client.upsert_definition(OpDefinition(id="train", version="1", image="op", input_specs=specs))
    served.client.create_run("op", id="a1b2c3d4")
    told = verb(*line.arguments)
    assert told.code in (0, 1), told.err
    assert "Traceback" not in told.err


def test_the_python_of_the_documents_runs(served: ServerThread, clean_environment: Path) -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ops = clean_environment / "ops.toml"
    ops.write_text('[ops.well]\ncommand = ["true"]\n')
    run = served.client.create_run("local://well")
    env = environment(clean_environment, GYOZA_SERVER_URL=served.url, GYOZA_API_KEY=KEY, GYOZA_OPS_FILE=str(ops))
    told = subprocess.run(
        [sys.executable, "-c", f"{block}\nraise SystemExit(code)"],
        cwd=clean_environment,
        env=env | {"GYOZA_MIN_FREE_MB": "0", "PYTHONUNBUFFERED": ""},  # a line of `print` is one write
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert f"{run.id} completed" in told.stdout.splitlines()
