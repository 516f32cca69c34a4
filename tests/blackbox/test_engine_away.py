"""The engine stopped, killed, hung: the worker stays, says so, claims nothing for it, and goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.house import LATE_S, HeartbeatWatch, House, ends, events_of
from tests.engine import PrivateEngine
from tests.images import BUSYBOX
from tests.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

MACHINES = {"backend_restarted", "backend_unavailable"}
Hurting = tuple[Callable[[PrivateEngine], None], Callable[[PrivateEngine], None]]


@pytest.mark.parametrize(
    "hurting",
    [
        pytest.param((PrivateEngine.freeze, PrivateEngine.thaw), id="hung", marks=pytest.mark.long),
        pytest.param((PrivateEngine.stop, PrivateEngine.start), id="stopped", marks=pytest.mark.long),
        pytest.param((PrivateEngine.kill, PrivateEngine.start), id="killed", marks=pytest.mark.long),
    ],
)
def test_the_worker_outlives_its_engine(
    tmp_path: Path, private_engine: PrivateEngine, hurting: Hurting, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurt, mend = hurting
    monkeypatch.setenv("DOCKER_HOST", private_engine.host)
    with closing(private_engine.client()) as engine, House(tmp_path) as house:
        house.engine = engine
        worker = house.worker(3)
        running = house.script("echo up; sleep 12; echo '{\"x\": 1}' > $GYOZA_OUTPUT_JSON")
        until(lambda: house.state(running) is RunState.RUNNING and house.containers(worker), "it runs")
        with HeartbeatWatch(house.url, worker.id) as watch:
            hurt(private_engine)
            until(lambda: "docker" not in house.client.get_worker(worker.id).backends, "it says so")
            assert "claiming nothing for it" in worker.words
            waiting = house.client.create_run(BUSYBOX, command=["true"])
            until(lambda: house.client.get_run(waiting.id).placement, "the server says why it waits")
            assert house.state(waiting) is RunState.PENDING
            mend(private_engine)
            until(lambda: "docker" in house.client.get_worker(worker.id).backends, "it recovers", 30)
        assert watch.late_s <= LATE_S
        assert house.ended(waiting, 60).state is RunState.COMPLETED
        done = house.ended(running, 120)
        assert (done.state, done.outputs) == (RunState.COMPLETED, {"x": 1})
        failed = events_of(done, EventType.FAILED)
        assert all(event.payload and event.payload["reason"] in MACHINES for event in failed), failed
        assert len(failed) == done.current_attempt - 1
        assert len(ends(done)) == done.current_attempt
        assert worker.alive
