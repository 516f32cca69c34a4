"""`gyoza-tui --local --demo`: what it shows, what it leaves, and what a `kill -9` does to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import docker
import psutil
import pytest

from gyoza_tui import __version__
from gyoza_tui.worker_dirs import worker_dir
from tests.commands import COMMAND, Started, environment, installed
from tests.waiting import until
from tools.settings_docs import ROOT

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
ENDS = {"train": "COMPLETED", "chat": "COMPLETED", "fail": "FAILED", "join": "COMPLETED"}


def state(home: Path) -> Path:
    return worker_dir(home / "state", "desk")


def key_of(server_file: Path) -> str:
    return Path(json.loads(server_file.read_text())["key_file"]).read_text().strip()


def is_over(home: Path) -> None:
    """No server, no process, no run directory."""
    root = state(home)
    until(lambda: processes_of(root) == [], "the end of the server, which its parent does not wait for")
    assert not (root / "server.json").exists()
    assert list(root.glob("runs/*")) == []


def processes_of(root: Path) -> list[int]:
    """Those that have the state directory open, or named in their arguments."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        with contextlib.suppress(psutil.Error):
            files = [file.path for file in process.open_files()]
            if any(str(root) in text for text in [*files, *(process.info["cmdline"] or [])]):
                found.append(process.pid)
    return [pid for pid in found if pid != os.getpid()]


def table(out: str) -> dict[str, list[str]]:
    """The rows of the table, by the op's name."""
    rows = out[out.index("STATE") :].splitlines()[1:]
    return {row.split()[1].partition("-")[0]: row.split() for row in rows if row}


def judge(out: str) -> None:
    rows = table(out)
    assert {name: row[0] for name, row in rows.items()} == ENDS
    assert all(row[2] == "1" for row in rows.values()), "one attempt each"
    assert all(row[3] == f"{name}@{__version__}" for name, row in rows.items())
    losses = dict(part.strip(",").split("=") for part in rows["train"][8:])
    assert float(losses["loss"]) < float(losses["first_loss"]) / 100
    assert "op_error, exit 3" in " ".join(rows["fail"])
    assert "count=3" in rows["join"]


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A worker beside a server of its own; tests leave it as it was."""
    home = tmp_path_factory.mktemp("at-work")
    with Started(home, "--local", env=NO_DOCKER) as worker:
        until(lambda: "gyoza server at" in worker.said, "the server's start")
        yield worker
        worker.process.terminate()
        assert worker.process.wait(30) == 0, worker.said
    is_over(home)


@pytest.mark.docker
def test_on_docker_as_json_lines(tmp_path: Path, docker_engine: docker.APIClient) -> None:
    with Started(tmp_path, "--local", "--demo", "--log-format", "json") as demo:
        own = state(tmp_path) / "server.json"
        until(own.exists, "server.json")
        assert own.stat().st_mode & 0o777 == 0o600
        key = key_of(own)
        until(lambda: "train" in installed(tmp_path, "runs").stdout, "a verb that finds the server by itself")
        (train, *_) = until(lambda: re.findall(r"train-\w+", demo.out.read_text()), "the run's id")
        log = installed(tmp_path, "logs", train[:7], "-f")
        assert demo.process.wait(60) == 0, demo.said
    *events, runs = [json.loads(line) for line in demo.out.read_text().splitlines()]
    assert {run["id"].partition("-")[0]: run["state"] for run in runs} == ENDS
    assert all(run["image"].startswith("gyoza-demo:") for run in runs)
    assert all(event["event"] for event in events)
    epochs = re.findall(r"epoch (\d+)/60 loss=([\d.]+)", log.stdout)
    assert [int(number) for number, _ in epochs] == list(range(1, 61))
    assert float(epochs[-1][1]) < float(epochs[0][1])
    assert {run["progress"] for run in runs if run["id"] == train} == {100}
    assert docker_engine.containers(all=True, filters={"label": f"gyoza.run={train}"}) == []
    is_over(tmp_path)
    assert key not in demo.said


def test_a_second_one_is_told_who_has_it_and_starts_nothing(at_work: Started) -> None:
    home = at_work.out.parent
    before = (state(home) / "server.json").read_text()
    second = installed(home, "--local", "--demo", env=NO_DOCKER)
    assert second.returncode == 2
    assert f"worker desk runs here already (pid {at_work.process.pid} on" in second.stderr
    assert "`gyoza-tui attach desk`" in second.stderr
    assert (state(home) / "server.json").read_text() == before


def test_the_server_ends_with_a_worker_that_was_killed(tmp_path: Path) -> None:
    with Started(tmp_path, "--local", env=NO_DOCKER) as worker:
        until((state(tmp_path) / "server.json").exists, "server.json")
        (server,) = psutil.Process(worker.process.pid).children()
        assert os.getsid(server.pid) == server.pid, "a Ctrl-C at the terminal is not for it"
        key = key_of(state(tmp_path) / "server.json")
        assert key not in " ".join(server.cmdline())
        assert key not in " ".join(server.environ().values())
        worker.process.kill()
        until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, "the server's end")


def test_a_server_that_was_killed_comes_back_at_its_address(at_work: Started) -> None:
    worker = psutil.Process(at_work.process.pid)
    (server,) = worker.children()
    server.kill()
    until(lambda: server.pid not in [child.pid for child in worker.children()], "its end")
    until(lambda: installed(at_work.out.parent, "runs").returncode == 0, "the server at the same address", 30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    with Started(tmp_path, "--local", env=NO_DOCKER) as worker:
        until(lambda: "headless as with --no-ui" in worker.said, "its first words")
        worker.process.send_signal(number)
        assert worker.process.wait(30) == 0, worker.said
    assert "Traceback" not in worker.said
    is_over(tmp_path)


def test_the_port_is_on_loopback_only(at_work: Started) -> None:
    port = urlsplit(json.loads((state(at_work.out.parent) / "server.json").read_text())["url"]).port
    listening = [tuple(c.laddr) for c in psutil.net_connections("tcp") if c.status == "LISTEN"]
    assert [address for address in listening if port in address] == [("127.0.0.1", port)]
    with socket.create_connection(("127.0.0.1", int(port or 0)), 20) as connection:
        connection.sendall(b"GET /runs HTTP/1.0\r\n\r\n")
        assert b" 401 " in connection.recv(4096)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("where", ["local", pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.long])])
def test_try_to_break_it(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The README's three commands, and what it says comes of them; the training is killed once it is at work."""
    if where == "docker":
        request.getfixturevalue("docker_engine")
    section = (ROOT / "README.md").read_text().partition("## Try to break it")[2].partition("\n## ")[0]
    commands, expected, _after_a_closed_terminal = re.findall(r"```(?:sh)?\n(.*?)```", section, re.DOTALL)
    assert len(commands.splitlines()) == 3
    assert "sleep 6" in commands
    at_work = f"until grep -rqs --include=*.log 'epoch 5/' {tmp_path}/state; do sleep 0.1; done"
    shell = subprocess.Popen(
        ["bash", "-c", commands.replace("sleep 6", at_work).replace(".venv/bin/gyoza-tui", COMMAND)],
        cwd=tmp_path,
        env=environment(tmp_path, **(NO_DOCKER if where == "local" else {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        said, _ = shell.communicate()
        pytest.fail(f"not at its end within 180 s:\n{said}")
    assert shell.returncode == 0, said
    rest = iter(said.splitlines())
    for line in expected.splitlines():
        pattern = ".*".join(re.escape(part.strip()) for part in line.split("…"))
        pattern = re.sub(r"(\\ )+", r"\\s+", pattern)
        assert any(re.search(pattern, got) for got in rest), f"{line!r} is not in its place in\n{said}"
    judge(said)
    assert ("no Docker engine answers" in said) == (where == "local")
    is_over(tmp_path)
