"""`gyoza-tui --until-empty` and its like: sessions that end by themselves, with the installed command."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.states import RunState
from tests.cli.conftest import Verb
from tests.commands import COMMAND, Started, environment, installed
from tests.servers import KEY, ServerThread
from tests.ui.terminal.pty_session import PtySession


def _ops(home: Path) -> str:
    """A list of three ops, and its path."""
    entries = [
        f"[ops.{name}]\ncommand = {json.dumps([sys.executable, '-c', code])}\n"
        for name, code in (("well", "pass"), ("badly", "raise SystemExit(3)"), ("long", "import time; time.sleep(60)"))
    ]
    path = home / "ops.toml"
    path.write_text("".join(entries))
    return str(path)


def _session(served: ServerThread, home: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the summary as data."""
    told = installed(
        home,
        "--no-ui",
        "--log-format",
        "json",
        "--ops-file",
        _ops(home),
        *flags,
        env={"GYOZA_SERVER_URL": served.url, "GYOZA_API_KEY": KEY, "GYOZA_MIN_FREE_MB": "0"},
    )
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert lines, told.stderr
    summary, bye = lines[-2:]
    assert bye["event"] == "bye"
    return told.returncode, summary


def test_until_empty(served: ServerThread, tmp_path: Path) -> None:
    for _ in range(3):
        served.client.create_run("local://well")
    code, summary = _session(served, tmp_path, "--until-empty")
    assert (code, summary["runs"], summary["left"]) == (0, {"completed": 3}, 0)
    assert summary["event"].startswith("session: 3 completed; ")


def test_a_failed_run_is_told_by_the_exit_code(served: ServerThread, tmp_path: Path) -> None:
    served.client.create_run("local://badly")
    served.client.create_run("local://well")
    code, summary = _session(served, tmp_path, "--until-empty")
    assert (code, summary["runs"]) == (1, {"completed": 1, "failed": 1})


@pytest.mark.parametrize(("op", "code"), [("well", 0), ("badly", 1)])
def test_one_run_by_the_beginning_of_its_id(served: ServerThread, tmp_path: Path, op: str, code: int) -> None:
    other = served.client.create_run("local://well")
    run = served.client.create_run(f"local://{op}", id=f"wanted-{op}")
    assert _session(served, tmp_path, "--run", "want")[0] == code
    assert served.client.get_run(run.id).state.terminal
    assert served.client.get_run(other.id).state is RunState.PENDING


def test_max_seconds_is_a_first_sigterm(served: ServerThread, tmp_path: Path) -> None:
    run = served.client.create_run("local://long", timeout_s=10)
    code, summary = _session(served, tmp_path, "--max-seconds", "8")
    assert (code, summary["runs"]) == (1, {"failed": 1}), "it was waited for"
    assert served.client.get_run(run.id).state is RunState.FAILED
    assert summary["seconds"] >= 10


def test_ticks_need_no_screen(served: ServerThread, tmp_path: Path) -> None:
    code, summary = _session(served, tmp_path, "--ticks", "2", "--duties", "heartbeat,sample")
    assert (code, summary["runs"]) == (0, {})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--max-seconds", "0"), "greater than 0"),
        (("--max-seconds", "nan"), "'nan' is no duration: write it as 90s, 10m, 1h30m or 2d"),
        (("--max-seconds", "soon"), "--max-seconds"),
        (("--ticks", "0"), "--ticks"),
        (("--ticks", "2", "--run", "r1"), "--run and --ticks end the same session"),
        (("--until-empty", "--run", "r1"), "--until-empty and --run end the same session"),
        (("--ticks", "2", "--max-seconds", "3"), "--ticks and --max-seconds end the same session"),
        (("--no-ui", "--duties", "delivr"), "no duty 'delivr' (did you mean deliver?)"),
        (("--no-ui", "--duties", ","), "--duties names none"),
        (("--until-empty", "runs"), "--until-empty is for the worker, not for `runs`"),
        (("--duties", "claim", "runs"), "--duties is for the worker, not for `runs`"),
    ],
)
def test_flags_that_cannot_be(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    told = installed(tmp_path, *flags)
    assert (told.returncode, told.stdout) == (2, "")
    assert words in told.stderr


def test_one_run_needs_a_server_that_answers(tmp_path: Path) -> None:
    told = installed(tmp_path, "--no-ui", "--run", "r1", env={"GYOZA_SERVER_URL": "http://127.0.0.1:1"})
    assert told.returncode == 3
    assert "cannot be reached" in told.stderr


def test_a_session_that_is_stopped_before_it_began_has_not_done_its_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        hanging.settimeout(20)
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        with Started(tmp_path, "--no-ui", "--run", "a1b2", env={"GYOZA_SERVER_URL": url}) as session:
            asking, _ = hanging.accept()
            with asking:
                session.process.send_signal(signal.SIGINT)
                assert session.process.wait(20) == 1
                assert session.said == "gyoza-tui: stopped before the session began: nothing is done\n"


def test_a_run_that_is_not_there(served: ServerThread, tmp_path: Path) -> None:
    env = {"GYOZA_SERVER_URL": served.url, "GYOZA_API_KEY": KEY}
    told = installed(tmp_path, "--no-ui", "--run", "nobody", env=env)
    assert told.returncode == 1
    assert "no run's id begins with nobody" in told.stderr


def test_the_help_says_how(verb: Verb) -> None:
    told = verb("--help")
    assert "gyoza-tui --no-ui --until-empty --max-seconds 3600" in told.out


def test_local_until_empty_is_a_whole_cluster_for_a_moment(tmp_path: Path) -> None:
    told = installed(tmp_path, "--local", "--until-empty", "--no-ui")
    assert told.returncode == 0, told.stderr
    assert "session: no run ended" in told.stdout


def test_a_session_with_a_screen_ends_the_same(tmp_path: Path) -> None:
    env = environment(tmp_path, TERM="xterm-256color", GYOZA_MIN_FREE_MB="0")
    with PtySession([COMMAND, "--local", "--max-seconds", "8"], env=env, cwd=tmp_path) as session:
        session.wait_for("CLAIMING")
        assert session.on_screen
        assert session.wait() == 0
        session.wait_for("session: no run ended")
        assert not session.on_screen
