"""The manual is what the commands say, and every command line in the documents can be typed as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from gyoza_tui.backends.base import Chunk, Stream
from gyoza_tui.cli.app import app
from gyoza_tui.models.definitions import InputSpec, OpDefinition
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.workers import Feature
from gyoza_tui.worker.op_output.log_spool import LogSpool
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.cli.conftest import Verb, known
from tests.cli.stage import Actor
from tests.commands import environment
from tests.documents import EACH_ONCE, KEY_FILE, LINES, ROOT, Line
from tests.servers import KEY, ServerThread
from tools import cli_docs

LOG = b"begun\nno error\n"


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


@pytest.fixture
def desk(verb: Verb, served: ServerThread, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory, a server and a worker's state with all that the examples name."""
    home = clean_environment
    for name, value in {"HOME": str(home), "TOKEN": "secret", "GYOZA_PULL_POLICY": "never"}.items():
        monkeypatch.setenv(name, value)
    (home / KEY_FILE).write_text(KEY)
    (home / KEY_FILE).chmod(0o600)
    specs = {"epochs": InputSpec(), "data": InputSpec(required=False)}
    for version in ("1.0", "1"):
        served.client.upsert_definition(OpDefinition(id="train", version=version, image="op", input_specs=specs))
    actor = Actor(served.client, "gpu-01", features=list(Feature))
    actor.start("a1b2c3d4", image="op", event_delivery={"topic": "nightly"})
    state_dir = StateDir.open(home / "state", "desk")
    log = LogSpool(state_dir.log_path("a1b2c3d4", 1, "l"), MIB)
    log.append(Chunk(Stream.STDOUT, LOG), time.time())
    log.close()
    known(state_dir, "a1b2c3d4")
    state_dir.close()
    return home


def _marks(line: Line) -> list[pytest.MarkDecorator]:
    """A verb's longest line is tried in `make test`, its others in `make test-long`."""
    longest = max(
        (each for each in EACH_ONCE if each.verb == line.verb and not each.stays), key=lambda each: len(each.arguments)
    )
    docker = [pytest.mark.docker] if line.needs_docker and line.verb == "run" else []
    return docker if line is longest else [*docker, pytest.mark.long]


def _place(line: Line, desk: Path, verb: Verb) -> Path:
    """Where it is typed: for what is about an op in this directory, in that of one."""
    if line.verb == "retry":
        verb("cancel", "a1b2c3d4")
    if line.verb == "drain":
        verb("drain", "--worker", "gpu-01")
    (desk / "inputs.json").write_text('{"text": "hi"}' if line.verb == "run" else '{"epochs": 5}')
    if line.verb not in ("run", "deploy"):
        return desk
    verb("init", "my-op", "--no-docker")
    definition = desk / "my-op" / "gyoza.yml"
    definition.write_text(definition.read_text().replace("{type: string}", "{type: string, default: hi}", 1))
    (desk / "my-op" / "ops").mkdir()
    (desk / "my-op" / "ops" / "train.yml").write_text(definition.read_text())
    return desk if "my-op" in " ".join(line.arguments) else desk / "my-op"


@pytest.mark.parametrize(
    "line",
    [pytest.param(line, marks=_marks(line)) for line in EACH_ONCE if not line.stays],
    ids=str,
)
def test_it_does_what_it_says(
    line: Line,
    verb: Verb,
    served: ServerThread,
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if line.needs_docker and line.verb == "run":
        request.getfixturevalue("docker_engine")
    monkeypatch.chdir(_place(line, desk, verb))
    if line.verb == "watch":
        served.client.add_event("a1b2c3d4", "COMPLETED", None, {})
    cursor = served.client.topic_events("nightly").cursor or ""
    told = verb(*(cursor if word == "CURSOR" else word for word in line.typed(desk, served.url)))
    assert told.code == 0 or (line.verb == "check" and told.code == 1), told
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
