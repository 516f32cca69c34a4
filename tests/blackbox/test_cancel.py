"""Cancel in each phase: one terminal state, and nothing of the run is left."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.op_output import pickle_child
from tests.blackbox.house import House, WorkerProcess, ends, op_processes
from tests.images import BUSYBOX
from tests.waiting import until

local = pytest.param("local", id="local")
docker = pytest.param("docker", id="docker", marks=pytest.mark.docker)

DEAF = "trap '' TERM; echo up; (trap '' TERM; while :; do sleep 1; done) & while :; do sleep 1; done"
COLLECTED = "(printf '{\"a\": [0'; yes ,1 | head -n 3500000 | tr -d '\\n'; echo ']}') > $GYOZA_OUTPUT_JSON"
"""7 MB of JSON, decoded in a process of its own for long enough to be seen."""

Begun = tuple[House, WorkerProcess, Callable[..., OpRun]]


@pytest.fixture(scope="module", params=[local, docker])
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    """A worker with one slot, and what submits a script to it."""
    scripts = {"sleep": "echo up; exec sleep 100", "deaf": DEAF, "collected": COLLECTED}
    with House(tmp_path_factory.mktemp("house")) as made:
        if request.param == "docker":
            made.engine = request.getfixturevalue("docker_engine")
            yield made, made.worker(1), lambda name: made.script(scripts[name])
        else:
            images = {name: made.op(name, "sh", "-c", script) for name, script in scripts.items()}
            yield made, made.worker(1), lambda name: made.client.create_run(images[name])


def cancel(house: House, run: OpRun) -> None:
    house.client.update_run(run.id, state=RunState.CANCELLED)


def check_cancelled(house: House, worker: WorkerProcess, run: OpRun) -> None:
    house.until_free(worker)
    until(lambda: not op_processes(worker), "every process of the op is gone")
    now = house.client.get_run(run.id)
    assert now.state is RunState.CANCELLED
    assert {event.state for event in ends(now)} == {RunState.CANCELLED}
    assert now.current_attempt == 1


def says_up(worker: WorkerProcess, run: OpRun) -> None:
    def up() -> bool:
        try:
            return b"up" in worker.log(run)
        except AssertionError:
            return False

    until(up, "the op runs")


def test_while_queued_and_while_running(begun: Begun) -> None:
    house, worker, submit = begun
    first, queued = submit("sleep"), submit("sleep")
    says_up(worker, first)
    cancel(house, queued)
    assert house.state(queued) is RunState.CANCELLED
    cancel(house, first)
    check_cancelled(house, worker, first)
    check_cancelled(house, worker, queued)


def test_an_op_that_ignores_sigterm(begun: Begun) -> None:
    house, worker, submit = begun
    run = submit("deaf")
    says_up(worker, run)
    cancel(house, run)
    check_cancelled(house, worker, run)


@pytest.mark.parametrize(
    "steps", [pytest.param((0, 3, 6), id="some"), pytest.param(range(8), id="all", marks=pytest.mark.long)]
)
def test_at_moments_of_the_way_up(begun: Begun, steps: Sequence[int]) -> None:
    """From the very assignment until after the start, in steps of 40 ms."""
    house, worker, submit = begun
    for step in steps:
        run = submit("sleep")
        house.until_state(run, RunState.ASSIGNED, RunState.RUNNING)
        time.sleep(step * 0.04)
        cancel(house, run)
        check_cancelled(house, worker, run)


def test_while_its_outputs_are_collected(begun: Begun) -> None:
    house, worker, submit = begun
    run = submit("collected")

    def decoding() -> psutil.Process | None:
        for child in worker.process.children():
            with contextlib.suppress(psutil.Error):
                if pickle_child.__file__ in child.cmdline():
                    return child
        return None

    decoder = until(decoding, "its outputs are decoded")
    decoder.suspend()
    cancel(house, run)
    decoder.resume()
    check_cancelled(house, worker, run)


@pytest.mark.docker
def test_while_pulling(docker_house: House, hanging_registry: str) -> None:
    worker = docker_house.worker(1)
    run = docker_house.client.create_run(f"{hanging_registry}/none:1")

    def pulls() -> bool:
        return any(op.phase == "pull_latest_image" for op in docker_house.client.get_worker(worker.id).running_ops)

    until(pulls, "it pulls")
    cancel(docker_house, run)
    check_cancelled(docker_house, worker, run)
    after = docker_house.client.create_run(BUSYBOX, command=["true"])
    assert docker_house.ended(after).state is RunState.COMPLETED, "the slot is free again"


def test_release_by_a_second_signal(begun: Begun) -> None:
    """Stopped at the worker's side: its runs go back, and nothing of them stays."""
    house, worker, submit = begun
    run = submit("deaf")
    says_up(worker, run)
    worker.process.send_signal(signal.SIGTERM)
    until(lambda: "draining" in worker.words, "the first signal is heard")
    assert worker.drain(30) == 0
    now = house.client.get_run(run.id)
    assert (now.state, now.current_attempt) == (RunState.PENDING, 2)
    assert not worker.leftovers()
    assert not house.containers(worker)
    assert not op_processes(worker)
    cancel(house, run)
    worker.start()
    house.until_ready(worker)
