"""The command lines of the documents that stay or wait, each as a process at its work; the others are in test_cli_docs.

Each worker and server is seen to do what it is for, and ends by SIGTERM with exit code 0, unless it ends by itself.
"""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.definitions import InputSpec, OpDefinition
from gyoza_tui.models.states import RunState
from tests.commands import COMMAND, Started, environment, installed
from tests.documents import EACH_ONCE, KEY_FILE, OF_A_WORKER_HERE, Line
from tests.servers import KEY, ServerThread
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

NO_DOCKER: Final = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
RUN: Final = "a1b2c3d4"
ELSEWHERE: Final = [("--local", "--demo"), ("--local", "--demo", "--no-ui")]
"""In test_demo, which also kills them."""
LIKE_ANOTHER: Final = [
    (),
    ("--local",),
    ("--no-ui", "--until-empty"),
    ("--no-ui", "--max-seconds", "28800"),
    ("--no-ui", "--worker-id", "gpu-box-b", "--max-runs", "2"),
    ("serve",),
    ("serve", "--host", "0.0.0.0", "--api-key-file", f"~/{KEY_FILE}"),
]
"""With a flag more they are in every test run."""


def lines(*verbs: str) -> list[Any]:
    staying = [line for line in EACH_ONCE if line.stays and line.arguments not in ELSEWHERE]
    return [pytest.param(line, marks=_marks(line), id=str(line)) for line in staying if line.verb in verbs]


def _marks(line: Line) -> list[pytest.MarkDecorator]:
    docker = [pytest.mark.docker] if line.needs_docker else []
    return docker + ([pytest.mark.long] if line.arguments in LIKE_ANOTHER else [])


class Town:
    """A home with a key and an op of this machine, and a server that has a run of it."""

    def __init__(self, home: Path, server: ServerThread) -> None:
        self.home = home
        self.server = server
        (home / KEY_FILE).write_text(KEY)
        (home / KEY_FILE).chmod(0o600)
        (home / "ops.toml").write_text('[ops.well]\ncommand = ["echo", "well"]\n')
        self.env = {"HOME": str(home), "GYOZA_OPS_FILE": "ops.toml", "GYOZA_MIN_FREE_MB": "0", **NO_DOCKER}
        server.client.create_run("local://well", id=RUN, event_delivery={"topic": "nightly"})

    @property
    def named(self) -> dict[str, str]:
        """The settings by which its server is found."""
        return {"GYOZA_SERVER_URL": self.server.url, "GYOZA_API_KEY": KEY}

    def typed(self, line: Line) -> list[str]:
        return line.typed(self.home, self.server.url)

    def completed(self) -> bool:
        return self.server.client.get_run(RUN).state is RunState.COMPLETED


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ServerThread(tmp_path / "server.db") as server:
        yield Town(tmp_path, server)


@pytest.mark.parametrize("line", lines(""))
def test_a_worker(line: Line, town: Town) -> None:
    """It takes the run, unless it says that it takes none."""
    if "my-op/ops.toml" in line.arguments:
        assert installed(town.home, "init", "my-op", "--no-docker").returncode == 0
    env = town.env | ({} if "--local" in line.arguments else town.named)
    if line.arguments == ("--version",):
        assert installed(town.home, "--version").stdout.startswith("gyoza-tui ")
    elif "--until-empty" in line.arguments or "--run" in line.arguments:
        done = installed(town.home, *town.typed(line), env=env)
        assert (done.returncode, town.completed()) == (0, "--duties" not in line.arguments), done
    elif "--no-ui" in line.arguments:
        with Started(town.home, *town.typed(line), env=env) as worker:
            until(town.completed, "the run is done")
            worker.process.terminate()
            assert worker.process.wait(20) == 0, worker.said
    else:
        on_a_screen(line, town, env)


def on_a_screen(line: Line, town: Town, env: Mapping[str, str]) -> None:
    own = environment(town.home, TERM="xterm-256color", **env)
    with PtySession([COMMAND, *town.typed(line)], env=own, cwd=town.home) as session:
        session.wait_for("CLAIMING")
        assert session.on_screen
        if "--local" not in line.arguments:
            until(town.completed, "the run is done")
        session.signal(signal.SIGTERM)
        assert session.wait() == 0, session.text
        until(lambda: not session.on_screen, "the terminal without a screen")


@pytest.mark.parametrize("line", lines("serve"))
def test_a_server(line: Line, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text(KEY)
    (tmp_path / KEY_FILE).chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    arguments = [port if word == "5555" else word for word in line.typed(tmp_path, "")]
    env = {"HOME": str(tmp_path), "GYOZA_SERVER_PORT": port}
    with Started(tmp_path, *arguments, env=env) as server:
        (url,) = until(lambda: re.findall(r"^gyoza server at (http:\S+),", server.said, re.MULTILINE), "its URL")
        own_key = tmp_path / "state" / "serve" / "key"
        key = KEY if "--api-key-file" in line.arguments else own_key.read_text().strip()
        with GyozaClient(url, key) as client:
            assert client.health().status == "ok"
            assert client.list_workers() == []
        if "--api-key-file" in line.arguments:
            with GyozaClient(url, "wrong") as stranger, pytest.raises(httpx.HTTPStatusError):
                stranger.list_workers()
        server.process.terminate()
        assert server.process.wait(20) == 0, server.said


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town with a worker, the definitions that the examples name, and a run that nobody takes."""
    home = tmp_path_factory.mktemp("staffed")
    with ServerThread(home / "server.db") as server:
        town = Town(home, server)
        env = town.env | town.named | {"GYOZA_PULL_POLICY": "never", "GYOZA_DOCKER_NETWORK": "none"}
        del env["DOCKER_HOST"]
        for words in (["init", "my-op", "--no-docker"], ["deploy", "my-op/gyoza.yml"]):
            assert installed(home, *words, env=env).returncode == 0
        with (home / "ops.toml").open("a") as ops:
            ops.write((home / "my-op/ops.toml").read_text())
        specs = {"epochs": InputSpec(), "data": InputSpec(required=False)}
        server.client.upsert_definition(OpDefinition(id="train", version="1", image="local://well", input_specs=specs))
        server.client.create_run("local://unheard-of")
        with Started(home, "--no-ui", env=env, name="worker") as worker:
            until(town.completed, "the first run is done")
            yield town
            worker.process.terminate()
            assert worker.process.wait(20) == 0, worker.said


@pytest.mark.parametrize("line", lines(*{line.verb for line in EACH_ONCE} - {"", "serve", *OF_A_WORKER_HERE}))
def test_a_verb_that_waits(line: Line, staffed: Town, request: pytest.FixtureRequest) -> None:
    """Until the run has ended, or until Ctrl-C once it has shown something."""
    if line.needs_docker:
        request.getfixturevalue("docker_engine")
    endless = line.verb in ("runs", "events")
    with Started(staffed.home, *staffed.typed(line), env=staffed.env | staffed.named) as waiting:
        if endless:
            until(waiting.out.read_text, "something to see")
            waiting.process.send_signal(signal.SIGINT)
        assert waiting.process.wait(20) == (130 if endless else 0), waiting.said
        assert waiting.out.read_text()
        assert "Traceback" not in waiting.said
