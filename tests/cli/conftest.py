"""Running verbs in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import typer

from gyoza_tui.__main__ import run
from gyoza_tui.cli.app import app
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.servers import KEY, ServerThread


class Said(NamedTuple):
    code: int
    out: str
    err: str


Verb = Callable[..., Said]
Meanwhile = Callable[[Callable[[], None]], None]


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No setting from anywhere but the test; an empty directory to be in."""
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("GYOZA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("GYOZA_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("GYOZA_WORKER_ID", "desk")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def built() -> Any:
    """The command line, made once: making it takes longer than most of its verbs."""
    return typer.main.get_command(app)


@pytest.fixture
def verb(
    built: Any, clean_environment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Verb:
    """Call a verb in this process."""
    monkeypatch.setattr("gyoza_tui.cli.app.app", built)

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run(list(arguments))
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Have something happen when the verb waits for the first time."""
    pause, happenings = time.sleep, list[Callable[[], None]]()

    def waited(seconds: float) -> None:
        if happenings and threading.current_thread() is threading.main_thread():
            happenings.pop()()
        pause(seconds)

    monkeypatch.setattr(time, "sleep", waited)
    return happenings.append


def known(state_dir: StateDir, run_id: str) -> None:
    """Have the worker know a run without secrets, though not the attempt whose log a test writes."""
    journal = Journal(state_dir.journal, SystemClock())
    journal.take("s", OpRun(id=run_id, image="op", attempt=99, lease=uuid4().hex), "docker")
    journal.close()


@pytest.fixture
def named(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[ServerThread], None]:
    """Let the environment name a server."""

    def name(server: ServerThread) -> None:
        monkeypatch.setenv("GYOZA_SERVER_URL", server.url)
        monkeypatch.setenv("GYOZA_API_KEY", KEY)

    return name


@pytest.fixture
def served(clean_environment: Path, named: Callable[[ServerThread], None]) -> Iterator[ServerThread]:
    """A server that the environment names."""
    with ServerThread(clean_environment / "server.db") as server:
        named(server)
        yield server
