"""Sessions that end by themselves: by time, by work, by passes; what they do, tell and exit with."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.definitions import RetryPolicy
from gyoza_tui.models.runs import OpRun, RunPatch
from gyoza_tui.models.states import RunState
from gyoza_tui.settings import Settings
from gyoza_tui.worker.hooks import Hooks
from gyoza_tui.worker.journal.row import Outcome, RunRow
from gyoza_tui.worker.runner import Worker, WorkerError
from gyoza_tui.worker.session import Bounds
from gyoza_tui.worker.view.control import Ending
from tests.histories import check_histories
from tests.scripted_server import SERVER_ID, Reply, ScriptedServer
from tests.servers import KEY, ServerThread
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend, FakeOp


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    with ServerThread(tmp_path / "server.db") as running:
        yield running
        check_histories(running.client)


class Lab:
    """Makes workers whose ops are called `op`, `bad` and `long`; each is to be run by its test."""

    def __init__(self, url: str, state: Path) -> None:
        self._url = url
        self._state = state
        self.long = FakeOp(ends_at_once=False)
        self.backend = FakeBackend({"op": FakeOp(), "bad": FakeOp(code=3), "long": self.long})
        self.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]

    def worker(self, *, settings: dict[str, Any] | None = None, **more: Any) -> Worker:
        common: dict[str, Any] = {"max_runs": 2, "pull_policy": "never", "min_free_mb": 0, "stop_grace_s": 1}
        common |= {"server_url": self._url, "api_key": KEY, "worker_id": "w1", "state_dir": self._state}
        made = Settings(**common | (settings or {}))
        return Worker(made, **{"backends": {"docker": self.backend}} | more)


@pytest.fixture
def lab(server: ServerThread, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(server.url, tmp_path / "state")
    yield made
    made.long.go.set()


def _summary(worker: Worker) -> dict[str, Any]:
    (last,) = (n for n in worker.parts.notices.recent() if n.text.startswith("session: "))
    return last.fields


def _states(server: ServerThread) -> list[RunState]:
    return sorted(run.state for run in server.client.list_runs().items)


# Until all is empty


def test_all_that_is_queued_is_run_and_then_it_ends(server: ServerThread, lab: Lab) -> None:
    for _ in range(5):
        server.client.create_run("op")
    worker = lab.worker()
    assert worker.run_all() == 0
    assert _states(server) == [RunState.COMPLETED] * 5
    assert _summary(worker)["runs"] == {"completed": 5}
    assert server.client.list_workers() == [], "it said good-bye"


def test_an_empty_queue_ends_it_at_once(server: ServerThread, lab: Lab) -> None:
    worker = lab.worker()
    assert worker.run_all() == 0
    assert _summary(worker)["runs"] == {}
    assert _summary(worker)["seconds"] < 15


def test_what_this_worker_can_never_take_is_not_waited_for(server: ServerThread, lab: Lab) -> None:
    server.client.create_run("op", constraints=Constraints(vram_mb=80_000))
    server.client.create_run("op", tags=["elsewhere"])
    server.client.create_run("local://not-here")
    mine = server.client.create_run("op", tags=["here"])
    assert lab.worker(settings={"tags": ("here",)}).run_all() == 0
    assert server.client.get_run(mine.id).state is RunState.COMPLETED
    assert _states(server).count(RunState.PENDING) == 3


def test_what_is_held_back_is_not_waited_for(server: ServerThread, lab: Lab) -> None:
    held = server.client.create_run("op")
    server.client.patch_run(held.id, RunPatch(held=True))
    server.client.create_run("op", tags=["elsewhere"])
    assert lab.worker().run_all() == 0
    assert _states(server) == [RunState.PENDING] * 2


def test_an_engine_that_is_away_for_a_moment_is_waited_for(server: ServerThread, lab: Lab) -> None:
    """While another backend could take more, and has nothing to do."""
    goes = iter([True])

    def go(_row: RunRow) -> None:
        if next(goes, False):
            answers(down="restarting")
            # else it may be handed over, and what is given back rests for a minute
            until(lambda: "docker" not in server.client.list_workers()[0].backends, "the server knows")
            server.client.create_run("op")
            threading.Timer(1.5, answers).start()

    def answers(down: str | None = None) -> None:
        lab.backend.down = down
        worker.parts.pool.check()
        worker.parts.wakes.beat.set()

    worker = lab.worker(backends={"docker": lab.backend, "local": FakeBackend()}, hooks=Hooks(on_run_end=go))
    server.client.create_run("op")
    assert worker.run_all() == 0
    assert _states(server) == [RunState.COMPLETED] * 2


def test_an_engine_that_never_answered_is_not_waited_for(server: ServerThread, lab: Lab) -> None:
    lab.backend.down = "not installed"
    server.client.create_run("op")
    assert lab.worker(backends={"docker": lab.backend, "local": FakeBackend()}).run_all() == 0
    assert _states(server) == [RunState.PENDING]


def test_a_run_that_is_to_be_tried_again_is_waited_for(server: ServerThread, lab: Lab) -> None:
    server.client.create_run("bad", retry_policy=RetryPolicy(max_attempts=2, backoff_s=1.5))
    worker = lab.worker()
    assert worker.run_all() == 1
    assert _states(server) == [RunState.FAILED]
    assert _summary(worker)["runs"] == {"failed": 2}


def test_what_is_queued_while_it_runs_is_done_too(server: ServerThread, lab: Lab) -> None:
    """Also in the moment in which the last known run ends."""
    left = iter(range(4))

    def another(_row: RunRow) -> None:
        if next(left, None) is not None:
            server.client.create_run("op")

    server.client.create_run("op")
    worker = lab.worker(hooks=Hooks(on_run_end=another), settings={"max_runs": 1})
    assert worker.run_all() == 0
    assert _states(server) == [RunState.COMPLETED] * 5


def test_nothing_that_was_queued_before_its_last_look_is_left(
    server: ServerThread, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs come at any moment, also while it makes up its mind."""
    moments = random.Random(7)
    ended = threading.Event()

    def submit() -> None:
        while not ended.wait(moments.uniform(0, 0.3)):
            if len(server.client.list_runs(state=RunState.PENDING).items) < 2:  # else a slow machine never ends
                server.client.create_run("op")

    submitting = threading.Thread(target=submit)
    submitting.start()
    try:
        for _ in range(3):
            worker = lab.worker()
            claim, asked = worker.parts.client.claim, [datetime.now(UTC)]

            def noted(*arguments: Any, claim: Any = claim, asked: list[datetime] = asked) -> Any:
                asked.append(datetime.now(UTC))
                return claim(*arguments)

            monkeypatch.setattr(worker.parts.client, "claim", noted)
            assert worker.run_all() == 0
            left = [run for run in server.client.list_runs().items if run.state is not RunState.COMPLETED]
            assert {run.state for run in left} <= {RunState.PENDING}
            assert all(run.created_at is not None and run.created_at >= asked[-1] for run in left)
    finally:
        ended.set()
        submitting.join()


def test_runs_of_another_do_not_hold_it(server: ServerThread, lab: Lab, tmp_path: Path) -> None:
    other = lab.worker()
    run = server.client.create_run("long")
    other.begin()
    until(lambda: server.client.get_run(run.id).state is RunState.RUNNING, "the other runs it")
    assert Lab(server.url, tmp_path / "second").worker(settings={"worker_id": "w2"}).run_all() == 0
    lab.long.go.set()
    until(lambda: server.client.get_run(run.id).state is RunState.COMPLETED, "the other ends it")
    other.close()


def test_an_undone_end_goes_on_without_bounds(server: ServerThread, lab: Lab) -> None:
    worker = lab.worker(bounds=Bounds(until_empty=True))
    worker.begin()
    codes: list[int] = []
    session = worker.parts.session
    until(lambda: session.over, "it wants to end")
    shutdown = worker.parts.shutdown
    worker.parts.session_end.look()
    assert worker.parts.ending.now is Ending.DRAIN
    worker.control.undo_drain()
    serving = threading.Thread(target=lambda: codes.append(shutdown.wait()), daemon=True)
    serving.start()
    until(lambda: session.over is None, "the bounds are lifted")
    run = server.client.create_run("op")
    until(lambda: server.client.get_run(run.id).state is RunState.COMPLETED, "it claims again")
    worker.control.end(Ending.DRAIN)
    serving.join(20)
    assert codes == [0]
    worker.close()


# One run


def test_one_run_alone_is_claimed(server: ServerThread, lab: Lab) -> None:
    others = [server.client.create_run("op") for _ in range(3)]
    wanted = server.client.create_run("op")
    worker = lab.worker()
    assert worker.run_one(wanted.id) == 0
    assert server.client.get_run(wanted.id).state is RunState.COMPLETED
    assert {server.client.get_run(other.id).state for other in others} == {RunState.PENDING}


@pytest.mark.parametrize(("image", "code"), [("op", 0), ("bad", 1)])
def test_its_exit_code_is_the_runs(server: ServerThread, lab: Lab, image: str, code: int) -> None:
    assert lab.worker().run_one(server.client.create_run(image).id) == code


def test_one_run_with_retries_ends_with_the_last(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("bad", retry_policy=RetryPolicy(max_attempts=3, backoff_s=0.1))
    worker = lab.worker()
    assert worker.run_one(run.id) == 1
    assert server.client.get_run(run.id).current_attempt == 3
    assert _summary(worker)["runs"] == {"failed": 3}


def test_a_run_that_nobody_knows_ends_it(lab: Lab) -> None:
    worker = lab.worker()
    assert worker.run_one("nobody") == 1
    assert "the server knows no run nobody" in "".join(n.text for n in worker.parts.notices.recent())


def test_a_run_that_has_ended_already(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("op")
    server.client.update_run(run.id, state=RunState.CANCELLED)
    assert lab.worker().run_one(run.id) == 1


def test_a_run_that_fits_nobody_says_why_it_waits(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("op", constraints=Constraints(vram_mb=80_000))
    worker = lab.worker()
    assert worker.run_one(run.id, max_seconds=4) == 1
    said = [n.text for n in worker.parts.notices.recent() if n.text.startswith(f"{run.id} waits: ")]
    assert said[-1].endswith("no worker known has one"), said
    assert len(set(said)) == len(said), "each once: before its first beat no worker is known"


# Time


def test_when_the_time_is_over_it_drains(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("long")
    worker = lab.worker(bounds=Bounds(max_seconds=3))

    def let_it_end() -> None:
        until(lambda: worker.parts.ending.now is Ending.DRAIN, "the end of the time")
        lab.long.go.set()

    threading.Thread(target=let_it_end).start()
    assert worker.run() == 0
    assert server.client.get_run(run.id).state is RunState.COMPLETED
    assert _summary(worker)["seconds"] >= 3
    said = [notice.text.partition(" ")[0] for notice in worker.parts.notices.recent()]
    assert said.index("the") < said.index("draining:"), "first why"
    assert said[-2:] == ["session:", "bye"]


def test_when_the_time_is_over_it_may_detach(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("long")
    worker = lab.worker(settings={"on_sigterm": "detach"}, bounds=Bounds(max_seconds=3))
    assert worker.run() == 0
    assert server.client.get_run(run.id).state is RunState.RUNNING
    assert _summary(worker)["left"] == 1
    lab.long.go.set()
    assert lab.worker().run_all() == 0
    assert _states(server) == [RunState.COMPLETED]


def test_a_session_without_a_server_failed(tmp_path: Path) -> None:
    lab = Lab("http://127.0.0.1:1", tmp_path / "state")
    assert lab.worker().run_all(max_seconds=0.5) == 1


def test_the_programs_own_signal_handlers_are_back_afterwards(lab: Lab) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    lab.worker().run_all()
    assert [signal.getsignal(number) for number in numbers] == before


# Passes


def test_ticks_are_passes_of_the_duties_in_this_thread(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = lab.worker()
    done: list[tuple[str, str]] = []
    for duty in worker.duties:
        step = duty.step

        def noted(step: Any = step, name: str = duty.name) -> float:
            done.append((name, threading.current_thread().name))
            return float(step())

        monkeypatch.setattr(duty, "step", noted)
    assert worker.run(ticks=2) == 0
    names = ["heartbeat", "verdicts", "claim", "deliver", "children", "reconcile", "guard", "sample"]
    assert done == [(name, threading.main_thread().name) for name in names * 2]


def test_ticks_leave_what_still_runs_to_the_next_start(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("long")
    worker = lab.worker()
    assert worker.run(ticks=3) == 0
    assert _summary(worker)["left"] == 1
    assert server.client.get_worker("w1").state == "away"
    lab.long.go.set()
    assert lab.worker().run_one(run.id) == 0


# Some duties


def test_a_worker_that_only_delivers_what_is_left(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("long")
    first = lab.worker(settings={"on_sigterm": "detach"}, bounds=Bounds(max_seconds=3))
    assert first.run() == 0
    lab.long.go.set()
    more = server.client.create_run("op")
    last = lab.worker(duties=["deliver"], bounds=Bounds(until_empty=True))
    assert [duty.name for duty in last.duties] == ["heartbeat", "verdicts", "deliver"]
    assert last.run() == 0
    assert server.client.get_run(run.id).state is RunState.COMPLETED
    assert server.client.get_run(more.id).state is RunState.PENDING


def test_who_claims_also_hears_verdicts_and_delivers(server: ServerThread, lab: Lab) -> None:
    run = server.client.create_run("op")
    assert lab.worker(duties=["claim"], bounds=Bounds(until_empty=True)).run() == 0
    assert server.client.get_run(run.id).state is RunState.COMPLETED


def test_duties_that_are_none_are_refused(lab: Lab) -> None:
    with pytest.raises(WorkerError, match=r"no duty 'hartbeat' \(did you mean heartbeat\?\)"):
        lab.worker(duties=["hartbeat"])
    with pytest.raises(WorkerError, match="needs the duty claim"):
        lab.worker(duties=["deliver"], bounds=Bounds(run_id="r1"))


# Hooks


def test_hooks_are_told_what_happens(server: ServerThread, lab: Lab) -> None:
    told: list[Any] = []
    hooks = Hooks(
        on_start=lambda: told.append("start"),
        on_stop=lambda code: told.append(("stop", code)),
        on_run_start=lambda row: told.append(("run", row.run_id)),
        on_step=lambda _row, step: told.append(step),
        on_run_end=lambda row: told.append(("ended", row.outcome)),
    )
    run = server.client.create_run("op")
    assert lab.worker(hooks=hooks).run_all() == 0
    assert told == [
        "start",
        ("run", run.id),
        "prepare_inputs",
        "pull_latest_image",
        "start_oprun",
        "run_container",
        "complete_oprun",
        ("ended", "completed"),
        "cleanup_op_dir",
        ("stop", 0),
    ]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(7), GeneratorExit("odd")])
def test_hooks_that_fail_hurt_nothing(server: ServerThread, lab: Lab, error: BaseException) -> None:
    def fails(*_: object) -> None:
        raise error

    server.client.create_run("op")
    worker = lab.worker(hooks=Hooks(fails, fails, fails, fails, fails))
    assert worker.run_all() == 0
    assert _states(server) == [RunState.COMPLETED]
    told = {n.text.partition(":")[0] for n in worker.parts.notices.recent() if n.level == "error"}
    assert told == {"on_start", "on_stop", "on_run_start", "on_step", "on_run_end"}


# What an answer without a run means


def test_an_early_empty_answer_ends_nothing(scripted: ScriptedServer, tmp_path: Path) -> None:
    """It may only mean: beat, then claim. The second one is believed."""
    scripted.defaults["beat"] = Reply({"protocol": 1, "server_id": SERVER_ID, "queued": 0})
    assert Lab(scripted.url, tmp_path / "state").worker().run_all() == 0
    asked = [request.body for request in scripted.of("claim")]
    assert len([body for body in asked if body["max"]]) == 2
    assert {body["wait_s"] for body in asked} == {0}
    assert all(later.at >= beat.at for later, beat in zip(scripted.of("claim"), scripted.of("beat"), strict=False))


def test_gpu_hours_are_those_within_the_session(tmp_path: Path, scripted: ScriptedServer) -> None:
    session = Lab(scripted.url, tmp_path / "state").worker(bounds=Bounds(until_empty=True)).parts.session
    session.begin()
    began = session._began_utc
    run = OpRun(id="r1", image="op", attempt=1, constraints=Constraints(gpu_id=0))
    row = RunRow(key=1, server_id="", run=run, name="n", backend="docker", claimed_at=began)
    session.ended(row.with_(outcome=Outcome.COMPLETED, started_at=began - 999, outcome_at=began + 1800))
    assert session.summary(0)[1]["gpu_hours"] == 0.5
