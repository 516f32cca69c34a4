"""A worker without a screen, and the screens that are opened on it afterwards, on real terminals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import psutil
import pytest

from gyoza_tui.backends.base import Label
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.blackbox.house import LATE_S, HeartbeatWatch, House, WorkerProcess
from tests.commands import COMMAND, environment, installed
from tests.documents import EACH_ONCE, Line
from tests.images import BUSYBOX
from tests.ui.terminal.pty_session import PtySession
from tests.waiting import until

GOES_ON = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[House, WorkerProcess]]:
    with House(tmp_path) as house:
        house.op("goes-on", "/bin/sh", "-c", GOES_ON)
        yield house, house.worker(2)


def attach(house: House, *arguments: str) -> PtySession:
    return PtySession(
        [COMMAND, "attach", *arguments], env=environment(house.root, TERM="xterm-256color"), cwd=house.root
    )


def test_a_run_is_cancelled_from_a_screen_that_comes_and_goes(at_work: tuple[House, WorkerProcess]) -> None:
    house, worker = at_work
    run = house.client.create_run("local://goes-on")
    house.until_state(run, RunState.RUNNING)
    with attach(house, worker.id) as first, attach(house, worker.id) as second:
        for session in (first, second):
            session.wait_for(run.id[:8])
            session.wait_for("line 1")
        first.type("q")
        first.wait_for("Leave?")
        first.type("\r")
        assert first.process.wait(10) == 0
        second.type("\x03")
        assert second.process.wait(10) == 0
    assert worker.alive
    assert house.state(run) is RunState.RUNNING
    with attach(house, worker.id) as session:
        session.wait_for(run.id[:8])
        session.type("x")
        session.wait_for("Cancel this run?")
        session.type("y")
        house.until_state(run, RunState.CANCELLED)
        session.wait_for("⊘ CANCELLED")
        session.close()
    assert worker.alive


def test_a_cockpit_says_that_its_worker_is_silent_and_takes_up_the_next_start(
    at_work: tuple[House, WorkerProcess],
) -> None:
    house, worker = at_work
    with attach(house, worker.id) as session:
        session.wait_for("[CLAIMING")
        worker.process.send_signal(signal.SIGSTOP)
        session.wait_for("no word from the worker")
        worker.process.send_signal(signal.SIGCONT)
        until(lambda: "no word from the worker" not in session.text, "the worker's word")
        worker.kill()
        session.wait_for("no word from the worker")
        worker.start()
        session.wait_for("the worker was started again", 40)
        until(lambda: "no word from the worker" not in session.text, "the worker's word")
        assert worker.drain() == 0
        session.wait_for("the worker has ended: drained")
        session.type("q")
        assert session.process.wait(10) == 0


def test_where_no_worker_runs_or_no_screen_can_be_it_is_said(tmp_path: Path) -> None:
    with PtySession([COMMAND, "attach", "nobody"], env=environment(tmp_path, TERM="xterm"), cwd=tmp_path) as session:
        assert session.process.wait(20) == 2
        session.wait_for("no worker nobody runs here")
    told = installed(tmp_path, "attach")
    assert told.returncode == 2
    assert "stdin is no terminal" in told.stderr


@pytest.mark.parametrize("line", [line for line in EACH_ONCE if line.verb == "attach"], ids=str)
def test_the_documented_lines_open_a_screen(line: Line, at_work: tuple[House, WorkerProcess]) -> None:
    house, worker = at_work
    with attach(house, *(worker.id for _ in line.arguments[1:])) as session:
        session.wait_for("[CLAIMING")


@pytest.mark.docker
def test_a_terminal_is_closed_and_another_one_ends_the_worker(tmp_path: Path, docker_engine: docker.APIClient) -> None:
    env = environment(tmp_path, TERM="xterm-256color", GYOZA_DOCKER_NETWORK="none", GYOZA_PULL_POLICY="missing")
    env |= {"GYOZA_STOP_GRACE_S": "1", "GYOZA_MIN_FREE_MB": "0"}
    with PtySession([COMMAND, "--local"], env=env, cwd=tmp_path) as first:
        first.wait_for("[CLAIMING", 40)
        first.close()
        submitted = installed(tmp_path, "submit", BUSYBOX, "--", "sh", "-c", GOES_ON)
        assert submitted.returncode == 0, submitted
        run = submitted.stdout.strip()
        with at_desk(env, tmp_path, "attach") as session:
            session.wait_for(run[:8])
            session.wait_for("line 1", 40)
            session.type("x")
            session.wait_for("Cancel this run?")
            session.type("y")
            session.wait_for("⊘ CANCELLED", 40)
            session.type("\x03")
            assert session.process.wait(10) == 0
        with at_desk(env, tmp_path, "attach") as session:
            session.wait_for("⊘ CANCELLED")
            stopped = installed(tmp_path, "stop", "--wait")
            assert first.process.poll() == 0, "the server of --local has ended too"
            assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, "desk: drained")
            session.wait_for("the worker has ended: drained")
            session.type("q")
            assert session.process.wait(10) == 0
    assert docker_engine.containers(all=True, filters={"label": f"{Label.RUN}={run}"}) == []
    assert [process for process in psutil.process_iter() if str(tmp_path) in " ".join(_argv(process))] == []


def test_a_start_where_its_worker_runs_offers_the_screen(at_work: tuple[House, WorkerProcess]) -> None:
    house, worker = at_work
    env = environment(house.root, TERM="xterm-256color", GYOZA_WORKER_ID=worker.id)
    asks = f"worker {worker.id} runs here already (pid {worker.process.pid} on"
    with at_desk(env, house.root, "--max-runs", "7", "--server", house.url, "--demo", "--local") as session:
        assert session.process.wait(20) == 2, "--local and --server exclude each other"
    with at_desk(env, house.root, "--max-runs", "7", "--tags", "", "--local", "--demo") as session:
        session.wait_for("[Y/n]")
        assert asks in session.text.replace("\n", "")
        assert "not applied to the worker that runs: --max-runs, --local, --demo\n" in session.text
        session.type("n\r")
        assert session.process.wait(10) == 2
        session.wait_for(f"`gyoza-tui attach {worker.id}`")
    with at_desk(env, house.root, "--max-runs", "2", "--server", house.url) as session:
        session.wait_for("[Y/n]")
        assert "not applied" not in session.text
        session.type("\r")
        session.wait_for("[CLAIMING")
        session.type("\x03")
        assert session.process.wait(10) == 0
    with at_desk(env, house.root) as session:
        session.wait_for("[Y/n]")
        session.type("\x03")
        assert session.process.wait(10) == 130
    assert worker.alive


def test_where_the_worker_that_runs_cannot_be_reached_it_is_said_why(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with closing(StateDir.open(state, "desk")):
        for arguments in ([], ["--local"], ["attach", "desk"], ["status"]):
            told = on_terminal(tmp_path, *arguments)
            assert f"worker desk runs (pid {os.getpid()} on" in told
            assert "does not listen: it is starting, ending" in told
    (state / "c0ffee" / "desk").mkdir(parents=True)
    assert "has been on c0ffee: in a container, attach inside it" in on_terminal(tmp_path, "status")


def on_terminal(home: Path, *arguments: str) -> str:
    """What a command that fails there prints, as one line."""
    with at_desk(environment(home, TERM="xterm"), home, *arguments) as session:
        assert session.process.wait(20) in (1, 2)
        return until(lambda: " ".join(session.text.split()), "its words")


def at_desk(env: dict[str, str], home: Path, *arguments: str) -> PtySession:
    return PtySession([COMMAND, *arguments], env=env, cwd=home, size=(240, 40))


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.long
def test_a_cockpit_that_is_stopped_in_a_flood_costs_no_heartbeat(tmp_path: Path) -> None:
    """And is let go meanwhile; it comes back by itself when it goes on."""
    with House(tmp_path) as house:
        flood = house.op("flood", "/bin/sh", "-c", f"yes a line of a flood | head -n 20000000; {GOES_ON}")
        worker = house.worker(2)
        with attach(house, worker.id) as session:
            session.wait_for("[CLAIMING")
            run = house.until_state(house.client.create_run(flood), RunState.RUNNING)
            with HeartbeatWatch(house.url, worker.id) as watch:
                session.process.send_signal(signal.SIGSTOP)
                until(lambda: not _has_a_cockpit(worker), "it is let go", 60)
                session.process.send_signal(signal.SIGCONT)
                until(lambda: _has_a_cockpit(worker), "it is back", 60)
            assert watch.late_s <= LATE_S
            until(lambda: "no word from the worker" not in session.text, "the worker's word")
            house.client.update_run(run.id, state=RunState.CANCELLED)


def _has_a_cockpit(worker: WorkerProcess) -> bool:
    """Beside the socket that listens, whether there is one that it has accepted."""
    found = [each for each in worker.process.net_connections("unix") if str(each.laddr).endswith("control.sock")]
    return len(found) > 1


def test_it_opens_over_a_pipe_as_ssh_makes_one(at_work: tuple[House, WorkerProcess]) -> None:
    """A terminal of its own, whose output and input come through another program."""
    house, worker = at_work
    through = ["script", "--quiet", "--return", "--command", f"{COMMAND} attach {worker.id}", "/dev/null"]
    with PtySession(through, env=environment(house.root, TERM="xterm-256color"), cwd=house.root) as session:
        session.wait_for("[CLAIMING")
        session.type("\x03")
        assert session.process.wait(10) == 0
        until(lambda: not session.on_screen, "the terminal as it was")
    assert worker.alive
