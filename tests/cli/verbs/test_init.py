"""`init`: the files that it writes, and that they run, build and deploy."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import docker
import pytest

import gyoza_tui.op
from gyoza_tui.cli.verbs.run import image_name
from gyoza_tui.models.images import ImageRef
from tests.cli.conftest import Verb
from tests.images import PYTHON
from tests.servers import ServerThread

DOCKER_FILES = ["Dockerfile", "gyoza.yml", "gyoza_op.py", "op.py", "test_op.py"]


def test_the_files_of_an_op(verb: Verb) -> None:
    said = verb("init", "new/My Op")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [f"new/My Op/{name}" for name in DOCKER_FILES]
    home = Path("new/My Op")
    assert sorted(path.name for path in home.iterdir()) == DOCKER_FILES
    assert (home / "gyoza_op.py").read_bytes() == Path(gyoza_tui.op.__file__).read_bytes()
    for name in ("op.py", "test_op.py"):
        ast.parse((home / name).read_text(), feature_version=(3, 8))


def test_its_op_and_its_test_run_by_hand(verb: Verb) -> None:
    verb("init", "my-op")
    argv = [sys.executable, "op.py", "text=hi", "times=2"]
    done = subprocess.run(argv, cwd="my-op", capture_output=True, text=True, check=False, timeout=30)
    assert json.loads(done.stdout) == {"text": "hi hi"}
    argv = [sys.executable, "test_op.py"]
    done = subprocess.run(argv, cwd="my-op", capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_it_deploys(verb: Verb, served: ServerThread) -> None:
    verb("init", "my-op")
    assert verb("deploy", "my-op/gyoza.yml").out.startswith("my-op@1: new\n")
    assert served.client.get_definition("my-op").image == "my-op:1"


@pytest.mark.parametrize("name", ["2026", "true", "null", "1e5"])
def test_whatever_it_is_called_it_deploys(verb: Verb, served: ServerThread, name: str) -> None:
    verb("init", f"ops/{name}")
    assert verb("deploy", f"ops/{name}/gyoza.yml").out.startswith(f"{name}@1: new\n")


def test_a_path_that_is_no_text_is_refused_before_anything_is_made(verb: Verb) -> None:
    said = verb("init", "new/caf\udce9")
    assert (said.code, said.out) == (2, "")
    assert "is no text in UTF-8" in said.err
    assert not Path("new").exists()


@pytest.mark.docker
def test_it_builds_and_runs_in_docker(verb: Verb, docker_engine: docker.APIClient) -> None:
    verb("init", "gyoza-test-init")
    on_machine(Path("gyoza-test-init/Dockerfile"))
    try:
        said = verb("run", "gyoza-test-init", "text=hi", "times=2")
    finally:
        docker_engine.remove_image("gyoza-test-init:1")
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == 'text = "hi hi"'


def on_machine(dockerfile: Path) -> None:
    """Built of what is on this machine: nothing is pulled."""
    dockerfile.write_text(dockerfile.read_text().replace("python:3.12-slim", PYTHON))


def test_without_docker_it_is_a_command_of_this_machine(verb: Verb) -> None:
    assert verb("init", "my {op}", "--no-docker").code == 0
    names = sorted(path.name for path in Path("my {op}").iterdir())
    assert names == sorted({*DOCKER_FILES, "ops.toml"} - {"Dockerfile"})
    assert verb("run", "my {op}", "text=3", "times=2").out.splitlines()[-1] == 'text = "3 3"'


def test_it_names_what_to_type_next(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert verb("init", "my-op").err == "next: gyoza-tui run my-op text=hello\n"
    assert verb("init", "my {op}", "--no-docker").err.splitlines() == [
        "next: gyoza-tui run 'my {op}' text=hello",
        "for a worker with it: gyoza-tui --ops-file 'my {op}/ops.toml'",
    ]


def test_nothing_is_written_over(verb: Verb) -> None:
    Path("my-op").mkdir()
    (Path("my-op") / "op.py").write_text("mine")
    (Path("my-op") / "gyoza_op.py").write_text("mine")
    (Path("my-op") / "README").write_text("mine")
    said = verb("init", "my-op")
    assert (said.code, said.out) == (2, "")
    assert "my-op has gyoza_op.py, op.py already" in said.err
    assert {path.read_text() for path in Path("my-op").iterdir()} == {"mine"}
    (Path("my-op") / "op.py").unlink()
    (Path("my-op") / "gyoza_op.py").unlink()
    assert verb("init", "my-op").code == 0
    assert (Path("my-op") / "README").read_text() == "mine"


def test_a_directory_that_cannot_be_made(verb: Verb) -> None:
    Path("file").touch()
    said = verb("init", "file/my-op")
    assert (said.code, said.err) == (1, "gyoza-tui: file/my-op cannot be written: Not a directory\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [("My Op", "my-op"), ("a_b.c", "a-b-c"), ("日本", "op"), ("", "op"), ("-x-", "x"), ("x" * 80, "x" * 60)],
)
def test_names(text: str, name: str) -> None:
    assert image_name(text) == name
    ImageRef.parse(f"{name}:1")


def test_its_list_of_ops_is_one_that_a_worker_reads(verb: Verb) -> None:
    verb("init", "my {op}", "--no-docker")
    entry = tomllib.loads(Path("my {op}/ops.toml").read_text())["ops"]["my-op"]
    assert entry == {"command": ["python3", str(Path("my {{op}}/op.py").absolute())]}
    assert shutil.which("python3")
