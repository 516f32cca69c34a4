"""The verbs that speak to a worker of this machine: judged by the server's data, exit codes and processes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.models.workers import WorkerState
from tests.blackbox.house import House, WorkerProcess
from tests.commands import Started, installed
from tests.documents import EACH_ONCE, Line
from tests.waiting import until

GATED = "until test -e {gate}; do sleep 0.1; done"
COMMANDS = ("status", "pause", "resume", "drain", "stop", "now", "reload")


class Lab:
    """A worker whose settings are in a file, with a run that goes on until it is let through."""

    def __init__(self, house: House, **environment: str) -> None:
        self.house = house
        self.gate = house.root / "gate"
        self.config = house.root / "worker.toml"
        self.config.write_text("")
        self.image = house.op("gated", "/bin/sh", "-c", GATED.format(gate=self.gate))
        self.worker: WorkerProcess = house.worker(2, wait=True, GYOZA_CONFIG=str(self.config), **environment)

    def gated(self) -> str:
        run = self.house.client.create_run(self.image)
        self.house.until_state(run, RunState.RUNNING)
        return run.id

    def state(self, run_id: str) -> RunState:
        return self.house.client.get_run(run_id, events=False).state

    def until_worker(self, state: WorkerState) -> None:
        until(lambda: self.house.client.get_worker(self.worker.id).state == state.value, f"the worker is {state}")

    def typed(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        done = installed(self.house.root, *arguments, env=env)
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with House(tmp_path) as house:
        made = Lab(house)
        yield made
        made.gate.touch()


def test_pause_resume_and_the_exit_code_of_status(lab: Lab) -> None:
    assert lab.typed("status").returncode == 0
    paused = lab.typed("pause")
    assert (paused.returncode, paused.stdout.count("\n")) == (0, 1)
    assert "now paused" in paused.stdout
    lab.until_worker(WorkerState.PAUSED)
    run = lab.house.client.create_run(lab.image)
    status = lab.typed("status", lab.worker.id)
    assert status.returncode == 1
    assert "paused: nothing is claimed" in status.stdout
    assert lab.state(run.id) is RunState.PENDING
    assert "now claiming" in lab.typed("resume").stdout
    lab.house.until_state(run, RunState.RUNNING)
    assert lab.typed("status").returncode == 0


def test_status_says_what_runs(lab: Lab) -> None:
    run = lab.gated()
    told = lab.typed("status").stdout
    (line,) = [line for line in told.splitlines() if run in line]
    assert "container" in line
    assert f"pid {lab.worker.process.pid} on" in told
    assert lab.house.url in told
    found = json.loads(lab.typed("status", "--json").stdout)
    assert (found["pid"], found["takes_runs"], found["free_slots"]) == (lab.worker.process.pid, True, 1)
    assert [(each["id"], each["state"]) for each in found["runs"]] == [(run, "RUNNING")]


def test_status_of_a_worker_without_a_server(tmp_path: Path) -> None:
    with Started(tmp_path, "--no-ui", "--server", "http://127.0.0.1:1", env={"GYOZA_MIN_FREE_MB": "0"}) as worker:
        until(lambda: "server unreachable" in installed(tmp_path, "status").stdout, "the trouble")
        assert installed(tmp_path, "status").returncode == 1
        assert installed(tmp_path, "now").returncode == 0
        assert installed(tmp_path, "stop", "--wait").returncode == 0
        assert worker.process.wait(20) == 0


def test_status_goes_on_across_starts_of_the_worker(lab: Lab) -> None:
    with Started(lab.house.root, "status", lab.worker.id, "--watch", "--json") as watching:

        def states() -> list[tuple[str, bool]]:
            told = [json.loads(line) for line in watching.out.read_text().splitlines()]
            return [(each["state"], each["ended"] is not None) for each in told]

        until(lambda: states() == [("claiming", False)], "the first line")
        lab.typed("pause", lab.worker.id)
        until(lambda: states()[-1] == ("paused", False), "the pause")
        assert lab.typed("stop", "--wait", lab.worker.id).returncode == 0
        until(lambda: states()[-1][1], "the end")
        lab.worker.start()
        until(lambda: states()[-1] == ("claiming", False), "the next start")
        watching.process.send_signal(signal.SIGINT)
        assert watching.process.wait(20) == 130
        assert watching.err.read_text() == ""


def test_a_drain_is_undone_and_who_waits_for_it_is_told(lab: Lab) -> None:
    run = lab.gated()
    with Started(lab.house.root, "drain", "--wait") as draining:
        lab.until_worker(WorkerState.DRAINING)
        assert lab.typed("status").returncode == 1
        assert "now claiming" in lab.typed("drain", "--undo").stdout
        assert draining.process.wait(20) == 1
        assert "the drain was undone" in draining.said
    assert lab.state(run) is RunState.RUNNING
    lab.until_worker(WorkerState.CLAIMING)


def test_a_stop_waits_for_the_runs_and_for_the_process(lab: Lab) -> None:
    run = lab.gated()
    worker = lab.worker.process
    with Started(lab.house.root, "stop", "--wait") as stopping:
        lab.until_worker(WorkerState.DRAINING)
        assert stopping.process.poll() is None
        assert lab.state(run) is RunState.RUNNING
        lab.gate.touch()
        assert stopping.process.wait(30) == 0
        assert worker.status() == psutil.STATUS_ZOMBIE, "its parent is this test"
        assert "asked to drain" in stopping.said
        assert stopping.said.splitlines()[-1] == f"{lab.worker.id}: drained"
    assert lab.state(run) is RunState.COMPLETED


def test_a_stop_is_what_the_first_sigterm_is(tmp_path: Path) -> None:
    with House(tmp_path) as house:
        lab = Lab(house, GYOZA_ON_SIGTERM="detach")
        run = lab.gated()
        stopped = lab.typed("stop", "--wait")
        assert stopped.returncode == 0
        assert "asked to detach" in stopped.stdout
        assert not lab.worker.alive
        assert lab.state(run) is RunState.RUNNING
        lab.worker.start()
        lab.gate.touch()
        lab.house.until_state(lab.house.client.get_run(run), RunState.COMPLETED)


def test_a_stop_gives_the_runs_back_if_asked(lab: Lab) -> None:
    run = lab.gated()
    lab.typed("stop")
    lab.until_worker(WorkerState.DRAINING)
    released = lab.typed("stop", "--release", "--wait")
    assert (released.returncode, released.stdout.splitlines()[-1]) == (
        0,
        f"{lab.worker.id}: stopped: what it ran was stopped, to be given back",
    )
    assert lab.state(run) is RunState.PENDING


def test_who_waits_for_a_worker_that_is_killed_is_told(lab: Lab) -> None:
    run = lab.gated()
    with Started(lab.house.root, "drain", "--wait") as draining:
        lab.until_worker(WorkerState.DRAINING)
        lab.worker.kill()
        assert draining.process.wait(20) == 1
        assert "ended without a word" in draining.said
    assert lab.typed("status").returncode == 2
    lab.worker.start()
    lab.gate.touch()
    lab.house.until_state(lab.house.client.get_run(run), RunState.COMPLETED)


def test_a_reload_applies_what_it_can_and_names_the_rest(lab: Lab) -> None:
    del lab.worker.environment["GYOZA_STOP_GRACE_S"]
    lab.typed("stop", "--wait")
    lab.worker.start()
    lab.house.until_ready(lab.worker)
    lab.config.write_text('tags = ["lab", "big"]\nstop_grace_s = 3\nserver_port = 5556\n')
    told = lab.typed("reload")
    assert told.returncode == 0
    applied, restart, now = told.stdout.splitlines()
    assert applied == "applied: tags is lab,big, was unset"
    assert restart == "needs a restart: stop_grace_s is 3.0, was 10.0"
    assert "settings read again" in now
    until(lambda: lab.house.client.get_worker(lab.worker.id).tags == ["lab", "big"], "the tags at the server")
    assert "needs a restart: stop_grace_s" in lab.typed("reload").stdout, "it still does"

    lab.config.write_text('tags = ["other"]\nhistory_days = "many"\n')
    refused = lab.typed("reload")
    assert refused.returncode == 1
    assert "nothing is applied" in refused.stderr
    assert "history_days" in refused.stderr
    assert lab.house.client.get_worker(lab.worker.id).tags == ["lab", "big"]


def test_where_no_worker_runs(tmp_path: Path) -> None:
    for verb in COMMANDS:
        told = installed(tmp_path, verb)
        assert (told.returncode, told.stdout) == (2, ""), verb
        assert "no worker desk runs here" in told.stderr
    assert installed(tmp_path, "status", "../../x").returncode == 2
    assert installed(tmp_path, "stop", "--release", "--detach").returncode == 2
    assert installed(tmp_path, "drain", "--undo", "--wait").returncode == 2
    assert installed(tmp_path, "drain", "here", "--worker", "there").returncode == 2
    assert installed(tmp_path, "pause", "--json").returncode == 2


def test_a_worker_that_hangs_is_none_that_takes_runs(lab: Lab) -> None:
    lab.worker.process.suspend()
    try:
        told = lab.typed("status")
        assert told.returncode == 1
        assert "does not answer" in told.stderr
    finally:
        lab.worker.process.resume()


def test_a_second_start_names_the_first(lab: Lab) -> None:
    more = ["--state-dir", str(lab.house.root / "state"), "--worker-id", lab.worker.id]
    for mode in (["--no-ui"], [], ["--local"]):
        told = lab.typed(*mode, *more)
        assert told.returncode == 2
        assert f"worker {lab.worker.id} runs here already (pid {lab.worker.process.pid} on " in told.stderr
        assert f"`gyoza-tui attach {lab.worker.id} --state-dir {more[1]}`" in told.stderr


@pytest.mark.parametrize(
    "line", [line for line in EACH_ONCE if line.of_a_worker_here and line.verb != "attach"], ids=str
)
def test_the_documented_lines_do_what_they_say(line: Line, lab: Lab) -> None:
    names = {word: lab.worker.id for word in line.arguments[1:] if not word.startswith("-")}
    typed = [names.get(word, word) for word in line.arguments]
    if "--watch" in typed:
        with Started(lab.house.root, *typed) as watching:
            until(watching.out.read_text, "something to see")
            watching.process.send_signal(signal.SIGINT)
            assert watching.process.wait(20) == 130
        return
    told = lab.typed(*typed)
    assert told.returncode == 0, told
    assert told.stdout
    if "stop" in typed or "--wait" in typed:
        until(lambda: not lab.worker.alive, "the worker's end")
