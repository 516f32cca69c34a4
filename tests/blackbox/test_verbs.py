"""The verbs as a person types them: processes, exit codes, streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import COMMAND, Started, environment, installed
from tests.waiting import until

OPS = """
[ops.double]
command = ["/bin/sh", "-c", "echo doubling; echo '{{\\"twice\\": 84}}' > \\"$GYOZA_OUTPUT_JSON\\""]
[ops.fail]
command = ["/bin/sh", "-c", "echo 'no such thing'; exit 7"]
[ops.long]
command = ["/bin/sh", "-c", "echo begun; exec sleep 600"]
[ops.saves]
command = ["/bin/sh", "-c", "exec 2>/dev/null; trap 'sleep 0.5; echo saved; exit' TERM; echo begun; sleep 600 & wait"]
"""
HERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "GYOZA_MIN_FREE_MB": "0", "GYOZA_STOP_GRACE_S": "5"}


class Desk:
    """A server and a worker on this machine, and the verbs."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url

    def __call__(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        return installed(self.home, *arguments, env={"GYOZA_SERVER_URL": self.url}, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("desk")
    (home / "ops.toml").write_text(OPS)
    with Started(home, "serve", "--port", "0", name="server") as server:
        url = until(lambda: _url(server), "the server's address", 60)
        with Started(
            home, "--no-ui", "--server", url, "--ops-file", "ops.toml", "--max-runs", "2", env=HERE, name="worker"
        ) as worker:
            until(lambda: "local answers" in worker.said or worker.process.poll() is not None, "the worker's start", 60)
            assert worker.process.poll() is None, worker.said
            yield Desk(home, url)
            worker.process.send_signal(signal.SIGTERM)
            assert worker.process.wait(20) == 0, worker.said
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(20) == 0, server.said
        assert f"gyoza server stopped; all it knows is in {home / 'state/server.db'}\n" in server.said
    assert "Traceback" not in worker.said + server.said


def _url(server: Started) -> str:
    words = [word.strip(",") for word in server.err.read_text().split()]
    return next((word for word in words if word.startswith("http")), "")


def test_submit_and_wait(desk: Desk) -> None:
    done = desk("submit", "local://double", "-i", "n=42", "--wait")
    assert done.returncode == 0, done.stderr
    run_id, end, output = done.stdout.splitlines()
    assert end.startswith("COMPLETED")
    assert output == "twice = 84"
    shown = desk("show", run_id[:8]).stdout
    for words in ("state    COMPLETED (100%)", "n = 42", "twice = 84", "attempt 1: COMPLETED on desk", "STARTED"):
        assert words in shown
    assert desk("logs", run_id[:8]).stdout == "doubling\n"


def test_a_failure_says_why_and_is_1(desk: Desk) -> None:
    done = desk("submit", "local://fail", "--wait")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].startswith("FAILED")
    assert "op_error, exit 7" in done.stderr
    assert "| no such thing" in done.stderr
    shown = desk("show", done.stdout.split()[0]).stdout
    assert "failed: op_error, exit 7" in shown
    assert "| no such thing" in shown


def test_cancel_and_follow(desk: Desk) -> None:
    run_id = desk("submit", "local://saves").stdout.strip()
    with Started(desk.home, "logs", run_id, "--follow", "--server", desk.url, name="follow") as follow:
        until(lambda: follow.out.read_text() == "begun\n", "the op's output")
        assert desk("cancel", run_id).returncode == 0
        assert follow.process.wait(30) == 0, follow.said
    assert follow.out.read_text() == "begun\nsaved\n"
    assert desk("cancel", run_id).returncode == 1
    state = json.loads(desk("show", run_id, "--json").stdout)["state"]
    assert state == "CANCELLED"


def test_interrupted_while_it_waits_is_130_and_the_run_goes_on(desk: Desk) -> None:
    with Started(desk.home, "submit", "local://long", "--wait", "--server", desk.url, name="submit") as submit:
        run_id = until(lambda: submit.out.read_text().strip(), "the run's id")
        until(lambda: "RUNNING" in desk("show", run_id).stdout, "the run's start")
        submit.process.send_signal(signal.SIGINT)
        assert submit.process.wait(20) == 130
        assert "goes on" in submit.err.read_text()
    assert "RUNNING" in desk("show", run_id).stdout
    assert desk("cancel", run_id).returncode == 0


def test_a_reader_that_has_had_enough_is_no_error(desk: Desk) -> None:
    desk("submit", "local://double")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"'{COMMAND}' runs --json | head -c 1"],
        env=environment(desk.home, GYOZA_SERVER_URL=desk.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[", "")


def test_a_full_disk_behind_stdout_is_told(desk: Desk) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [COMMAND, "runs"],
            env=environment(desk.home, GYOZA_SERVER_URL=desk.url),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(desk: Desk, closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{COMMAND}' runs {closed}"],
        env=environment(desk.home, GYOZA_SERVER_URL=desk.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_locale_of_ascii_alone(desk: Desk) -> None:
    done = installed(desk.home, "runs", env={"GYOZA_SERVER_URL": desk.url, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr


def test_version(tmp_path: Path) -> None:
    assert installed(tmp_path, "--version").stdout.startswith("gyoza-tui 0.")
    assert os.listdir(tmp_path) == ["config.toml"]
