"""`completion`: the scripts in the shells that they are for, typed at as a person does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gyoza_tui.models.definitions import InputSpec, OpDefinition, ValueType
from tests.cli.conftest import Verb
from tests.commands import COMMAND, environment, installed
from tests.engine import unavailable
from tests.servers import KEY, ServerThread
from tests.ui.terminal.pty_session import PtySession

RUN = "wanted-5c0ffee"


@dataclass(frozen=True)
class Shell:
    """How it is started without anybody's own configuration, and told to complete."""

    name: str
    argv: tuple[str, ...]
    setup: str


SHELLS = (
    Shell("bash", ("bash", "--norc", "--noprofile", "-i"), 'eval "$(gyoza-tui completion bash)"'),
    Shell(
        "zsh",
        ("zsh", "-f", "-i"),
        'autoload -U compinit; compinit -u -d "$HOME/dump"; eval "$(gyoza-tui completion zsh)"',
    ),
    Shell("fish", ("fish", "--no-config", "-i"), "gyoza-tui completion fish | source"),
)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell.name)
def at_prompt(request: pytest.FixtureRequest, served: ServerThread, tmp_path: Path) -> Iterator[PtySession]:
    shell: Shell = request.param
    if shutil.which(shell.name) is None:
        unavailable(f"the package {shell.name} is not installed")
    served.client.create_run("op", id=RUN)
    env = environment(
        tmp_path,
        GYOZA_SERVER_URL=served.url,
        GYOZA_API_KEY=KEY,
        HOME=str(tmp_path),
        TERM="xterm",
        PATH=f"{Path(COMMAND).parent}:{os.environ['PATH']}",
    )
    with PtySession(shell.argv, env=env, cwd=tmp_path) as session:
        session.type(f"{shell.setup}; echo all''set\r")
        session.wait_for("allset")
        yield session


def test_verbs_flags_and_live_ids(at_prompt: PtySession) -> None:
    at_prompt.type("gyoza-tui compl\t")
    at_prompt.wait_for("gyoza-tui completion")
    at_prompt.type("\x15")
    at_prompt.type("gyoza-tui runs --jso\t")
    at_prompt.wait_for("gyoza-tui runs --json")
    at_prompt.type("\x15")
    at_prompt.type("gyoza-tui cancel want\t")
    at_prompt.wait_for(f"gyoza-tui cancel {RUN}")


def test_words_of_two_halves(at_prompt: PtySession, served: ServerThread) -> None:
    """What is typed on stands behind the first half, without a space."""
    specs = {"epochs": InputSpec(type=ValueType.INT), "fast": InputSpec(type=ValueType.BOOL)}
    served.client.upsert_definition(OpDefinition(id="train", version="1", image="op", input_specs=specs))
    at_prompt.type("gyoza-tui runs stat\t")
    at_prompt.wait_for("gyoza-tui runs state:")
    at_prompt.type("pending,fai\t")
    at_prompt.wait_for("gyoza-tui runs state:pending,failed")
    at_prompt.type("\x15")
    at_prompt.type("gyoza-tui submit train@1 epo\t")
    at_prompt.wait_for("gyoza-tui submit train@1 epochs=")
    at_prompt.type("5 fas\t")
    at_prompt.wait_for("gyoza-tui submit train@1 epochs=5 fast=")
    at_prompt.type("t\t")
    at_prompt.wait_for("gyoza-tui submit train@1 epochs=5 fast=true")


@pytest.mark.parametrize(
    ("line", "breaks", "replies"),
    [
        ("gyoza-tui runs state:fai", " =:", "failed"),
        ("gyoza-tui runs state:fai", " ", "state:failed"),
        ("gyoza-tui runs --state=fai", " =:", "failed"),
        ("gyoza-tui runs --state fai", " =:", "failed"),
        ("gyoza-tui 'runs' st -n 5", " =:", "state:"),
        ("gyoza-tui ru", " =:", "run\nruns"),
    ],
)
def test_bash_replaces_what_is_behind_its_last_break(tmp_path: Path, line: str, breaks: str, replies: str) -> None:
    """And what stands behind the cursor is no concern."""
    point = str(len(line.removesuffix(" -n 5")))
    asked = {"_GYOZA_TUI_COMPLETE": "complete_bash", "COMP_LINE": line, "COMP_POINT": point, "COMP_WORDBREAKS": breaks}
    assert installed(tmp_path, env=asked).stdout.strip() == replies


def test_a_shell_that_is_none_is_refused(verb: Verb) -> None:
    told = verb("completion", "tcsh")
    assert (told.code, "bash" in told.err) == (2, True)


def test_nothing_else_answers_a_shell(verb: Verb) -> None:
    """One way: no flag writes into anybody's start files."""
    assert "completion" not in verb("--help").out.partition("Commands:")[0]
