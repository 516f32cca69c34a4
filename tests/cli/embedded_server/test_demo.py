"""The demo's own server, when it does not do what the demo asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from gyoza_tui.cli.embedded_server.demo import OPS, Demo
from gyoza_tui.cli.embedded_server.demo_image import NoImage
from gyoza_tui.cli.failures import ExitCode
from gyoza_tui.models.states import RunState
from gyoza_tui.settings import load
from gyoza_tui.worker.runner import Worker
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker.view.control import Ending
from tests.servers import KEY, ServerThread
from tests.waiting import until


class Hosting:
    """Of a worker only what a demo asks of it: to end."""

    def __init__(self) -> None:
        self.control = self
        self.ending: Ending | None = None
        self.ended = threading.Event()

    def end(self, ending: Ending) -> None:
        self.ending = ending
        self.ended.set()


@pytest.fixture
def state_dir(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateDir]:
    def none() -> str:
        raise NoImage("no Docker engine answers")

    monkeypatch.setattr("gyoza_tui.cli.embedded_server.demo.ensure", none)
    made = StateDir.open(clean_environment / "state", "desk")
    yield made
    made.close()


def begun(state_dir: StateDir, url: str, key: str) -> tuple[Demo, Hosting, list[str]]:
    told: list[str] = []
    demo, hosting = Demo(load(server_url=url, api_key=key), state_dir, told.append), Hosting()
    demo.begin(cast(Worker, hosting), drains=True)
    return demo, hosting, told


def test_a_server_that_refuses_is_told_and_ends_it(served: ServerThread, state_dir: StateDir) -> None:
    demo, hosting, told = begun(state_dir, served.url, "another key")
    assert hosting.ended.wait(20)
    assert hosting.ending is Ending.DRAIN
    assert f"the demo, whose session is in {state_dir.root / 'demo-session'}, cannot go on: " in told[-1]
    assert demo.end(ExitCode.DONE) == ExitCode.FAILED


def test_a_session_file_that_cannot_be_used_is_told_and_ends_it(served: ServerThread, state_dir: StateDir) -> None:
    kept = state_dir.root / "demo-session"
    kept.mkdir()
    demo, hosting, told = begun(state_dir, served.url, KEY)
    assert hosting.ended.wait(20)
    assert told[-1] == f"the demo, whose session is in {kept}, cannot go on: Is a directory"
    assert demo.end(ExitCode.DONE) == ExitCode.FAILED


def test_a_session_of_another_making_is_begun_anew(served: ServerThread, state_dir: StateDir) -> None:
    kept = state_dir.root / "demo-session"
    kept.write_bytes(b"x" * 300 + b"\xff")
    _, hosting, _ = begun(state_dir, served.url, KEY)
    found = until(lambda: [run.id for run in served.client.list_runs().items][len(OPS) - 1 :], "the demo's runs")
    assert found[0].endswith(kept.read_text().strip())
    for run in served.client.list_runs().items:
        served.client.update_run(run.id, state=RunState.CANCELLED)
    assert hosting.ended.wait(20)
    assert not kept.exists()
