"""docs/writing-ops.md: its commands, its Python and its recipes are run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import docker
import pytest

import gyoza_tui.op
from gyoza_tui.models.definitions import InputSpec, OpDefinition, RetryPolicy, ValueType
from gyoza_tui.models.runs import OpRun
from tests.commands import COMMAND, Started, environment, installed
from tests.images import BUSYBOX, PYTHON
from tests.servers import KEY, ServerThread

PAGE = (Path(__file__).parents[1] / "docs/writing-ops.md").read_text()


def block(language: str, after: str) -> str:
    """The first fenced block of that language below the heading."""
    found = re.search(rf"^## {after}$.*?^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{after} has no {language}"
    return found[1]


class Reader:
    """Types the commands of the page in a directory of their own."""

    def __init__(self, home: Path, server: ServerThread) -> None:
        self.home = home
        self.settings = {"GYOZA_SERVER_URL": server.url, "GYOZA_API_KEY": KEY, "GYOZA_MIN_FREE_MB": "0"}
        self.said: list[str] = []

    def types(self, line: str) -> None:
        path = f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.home, env=environment(self.home, PATH=path, **self.settings),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        self.said.append(done.stdout)


def test_five_minutes_without_docker(tmp_path: Path) -> None:
    with ServerThread(tmp_path / "server.db") as server:
        reader = Reader(tmp_path, server)
        first, *rest = block("sh", "Five minutes").splitlines()
        reader.types(first.replace("init my-op", "init my-op --no-docker"))
        arguments = ("--no-ui", "--ops-file", str(tmp_path / "my-op/ops.toml"))
        with Started(tmp_path, *arguments, env=reader.settings):
            for line in rest:
                reader.types(line)
        check(reader, server)


@pytest.mark.docker
def test_five_minutes(tmp_path: Path, docker_engine: docker.APIClient) -> None:
    with ServerThread(tmp_path / "server.db") as server:
        reader = Reader(tmp_path, server)
        first, *rest = block("sh", "Five minutes").splitlines()
        reader.types(first)
        dockerfile = tmp_path / "my-op/Dockerfile"
        dockerfile.write_text(dockerfile.read_text().replace("python:3.12-slim", PYTHON))
        reader.settings |= {"GYOZA_PULL_POLICY": "never"}
        try:
            with Started(tmp_path, "--no-ui", env=reader.settings):
                for line in rest:
                    reader.types(line)
        finally:
            docker_engine.remove_image("my-op:1", force=True)
        check(reader, server)


def check(reader: Reader, server: ServerThread) -> None:
    """What the last commands printed, and what the server has."""
    by_hand, once, _, submitted = reader.said[1:]
    assert json.loads(by_hand) == {"text": "hello hello"}
    assert once.splitlines()[-1] == 'text = "hello hello hello"'
    assert '{"type": "PROGRESS", "msg": 100.0}' in submitted, "the log"
    assert submitted.splitlines()[-1] == 'text = "hello hello hello"'
    (run,) = server.client.list_runs().items
    assert (run.op_definition, run.state.value) == ("my-op", "COMPLETED")


def test_the_python_of_the_page(tmp_path: Path) -> None:
    shutil.copy(gyoza_tui.op.__file__, tmp_path / "gyoza_op.py")
    (tmp_path / "op.py").write_text(block("python", "In Python"))
    argv = [sys.executable, "op.py", "image_path=a.jpg", "top_k=6"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, '{"labels": ["cat"]}\n')
    assert done.stderr == "50%\nINFO loaded path=a.jpg\nERROR only five labels are known wanted=6\n"


RECIPES = {
    "sh": ["sh", "{file}"],
    "perl": ["perl", "{file}"],
    "awk": ["sh", "-c", 'awk -f {file} "$GYOZA_INPUT_JSON"'],
}


@pytest.mark.parametrize("language", RECIPES)
def test_each_recipe_is_an_op(tmp_path: Path, language: str) -> None:
    script = tmp_path / "op.txt"
    script.write_text(block(language, "Other languages"))
    command = [part.format(file=script) for part in RECIPES[language]]
    (tmp_path / "ops.toml").write_text(f"[ops.say]\ncommand = {json.dumps(command)}\n")
    env = {"GYOZA_OPS_FILE": str(tmp_path / "ops.toml")}
    check_recipe(installed(tmp_path, "run", "--json", "local://say", "text=hi", "times=2", env=env))


@pytest.mark.long
@pytest.mark.docker
@pytest.mark.parametrize("language", ["sh", "awk"])
def test_recipes_in_busybox(tmp_path: Path, docker_engine: docker.APIClient, language: str) -> None:
    (tmp_path / "op.txt").write_text(block(language, "Other languages"))
    command = [part.format(file="/op.txt") for part in RECIPES[language]]
    (tmp_path / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCOPY op.txt /\nENTRYPOINT {json.dumps(command)}\n")
    tag = f"gyoza-try-{tmp_path.name.replace('_', '-')}"
    try:
        check_recipe(installed(tmp_path, "run", "--json", "text=hi", "times=2"))
    finally:
        docker_engine.remove_image(tag, force=True)


def check_recipe(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert OpRun.model_validate_json(done.stdout).outputs == {"text": "hi hi"}
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines == [{"type": "PROGRESS", "msg": 50}, {"type": "PROGRESS", "msg": 100}]


def test_every_key_and_type_is_on_the_page() -> None:
    keys = {
        name
        for line in PAGE.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert keys == set(OpDefinition.model_fields)
    for word in [*ValueType, *RetryPolicy.model_fields, *InputSpec.model_fields]:
        assert re.search(rf"\b{word}\b", PAGE), word
