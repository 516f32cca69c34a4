"""What starts quickly stays quick: a help, a version and a shell's question load nothing of the worker's weight."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gyoza_tui.cli.verb_table import VERBS
from tests.commands import COMMAND, environment

HEAVY = (
    "docker",
    "fastapi",
    "httpx",
    "prometheus_client",
    "psutil",
    "pydantic_settings",
    "rich",
    "sqlalchemy",
    "textual",
    "uvicorn",
)
_PROBE = f"""
import sys
from gyoza_tui.__main__ import run
code = run(sys.argv[1:])
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(loaded, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("submit", "--help"), ("check", "--help"), ("completion", "bash")]
)
def test_no_heavy_import(arguments: tuple[str, ...]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True, timeout=30, check=True
    )
    assert told.stdout
    assert told.stderr == "[]\n"


def test_a_worker_without_flags_waits_for_no_parser() -> None:
    env = os.environ | {"GYOZA_MAX_RUNS": "none"}
    command = [sys.executable, "-X", "importtime", "-m", "gyoza_tui"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)
    assert told.returncode == 2
    assert "GYOZA_MAX_RUNS" in told.stderr
    assert "typer" not in {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}


_GARBAGE_PROBE = """
import gc
from gyoza_tui.__main__ import main
from gyoza_tui.worker.runner import Worker

def run(worker):
    print(gc.isenabled(), gc.get_freeze_count() > 10_000)
    return 0

Worker.run = run
main()
"""


def test_a_worker_without_a_screen_looks_for_no_garbage_in_what_is_loaded(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _GARBAGE_PROBE, "--no-ui"]
    env = environment(tmp_path, GYOZA_SERVER_URL="http://127.0.0.1:1")
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=env)
    assert told.stdout == "True True\n"


def test_the_list_of_verbs_needs_no_verb_and_no_models() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gyoza_tui", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "gyoza_tui.cli.verb_table" in loaded
    assert {name for name in loaded if name.startswith("gyoza_tui.cli.verbs")} == set()
    assert not {"pydantic", "pydantic_core", "gyoza_tui.models.workers", "gyoza_tui.models.filters"} & loaded


@pytest.mark.parametrize("columns", ["80", "200"])
def test_the_list_has_a_whole_line_for_each_verb(columns: str) -> None:
    env = os.environ | {"COLUMNS": columns}
    told = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, timeout=30, check=True, env=env)
    lines = told.stdout.partition("\nCommands:\n")[2].partition("\n\n")[0].splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in lines] == [(name, verb.summary) for name, verb in VERBS.items()]


def test_a_shell_is_answered_as_quickly() -> None:
    env = os.environ | {"_GYOZA_TUI_COMPLETE": "complete_bash", "COMP_LINE": "gyoza-tui comp", "COMP_POINT": "14"}
    command = [sys.executable, "-X", "importtime", "-m", "gyoza_tui"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=env)
    assert told.stdout.split() == ["completion"]
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert not loaded.intersection(HEAVY)


def test_a_shell_that_is_offered_every_verb_waits_for_no_models() -> None:
    env = os.environ | {"_GYOZA_TUI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "gyoza-tui "}
    command = [sys.executable, "-X", "importtime", "-m", "gyoza_tui"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=env)
    offered = told.stdout.replace("''", "'")  # as zsh reads it
    assert [name for name, verb in VERBS.items() if f'"{name}":"{verb.summary}"' not in offered] == []
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "gyoza_tui.cli.verbs.many_runs" in loaded
    assert "gyoza_tui.models.workers" not in loaded


def test_httpx_goes_without_its_own_command_line() -> None:
    env = os.environ | {"GYOZA_SERVER_URL": "http://127.0.0.1:1"}
    command = [sys.executable, "-X", "importtime", "-m", "gyoza_tui", "show", "a-run"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "httpx._client" in loaded
    assert {"click", "rich", "pygments"} & loaded == set()
