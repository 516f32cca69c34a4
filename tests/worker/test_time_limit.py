"""Time limits: what counts towards them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.worker.execution_pipeline.time_limit import TimeLimit
from gyoza_tui.worker.journal.row import Outcome
from tests.clock import TurnedClock
from tests.scripted_server import ScriptedServer
from tests.waiting import until
from tests.worker.fake_backend import FakeOp
from tests.worker.rig import Rig


@pytest.fixture
def working(scripted: ScriptedServer, tmp_path: Path) -> Iterator[Rig]:
    """Its runs have threads, and so have those that wait; the op `long` runs until the test is over."""
    rig = Rig(scripted, tmp_path / "state", {"stop_grace_s": 0}, clock=TurnedClock())
    del rig.worker.slots.start
    rig.parts.waiting_runs.start()
    rig.backend.known["op"] = op = FakeOp(ends_at_once=False)
    rig.backend.image_id = lambda image: "sha256:1"  # type: ignore[method-assign]
    yield rig
    op.go.set()
    rig.close()


def test_neither_waiting_nor_frozen_time_counts(rig: Rig) -> None:
    row = rig.row(timeout_s=100)
    rig.journal.update(row.key, started_at=rig.clock.utc().timestamp())
    limit = TimeLimit(rig.record(row), rig.clock)
    rig.clock.turn(30)
    assert limit.left_s == pytest.approx(70)
    for since, total in (("waiting_since", "waited_s"), ("frozen_since", "frozen_s")):
        rig.journal.update(row.key, **{since: rig.clock.utc().timestamp()})
        assert limit.left_s == math.inf
        rig.clock.turn(3600)
        rig.journal.update(row.key, **{since: None, total: 3600.0})
        assert limit.left_s == pytest.approx(70)
    again = TimeLimit(rig.record(row), rig.clock)
    assert again.left_s == pytest.approx(70), "after a restart"
    rig.clock.turn(71)
    assert limit.left_s == pytest.approx(-1)
    limit.lift()
    assert limit.left_s == math.inf


def test_a_run_that_waited_for_hours_has_its_time_afterwards(working: Rig) -> None:
    rig, waiting = working, working.parts.waiting_runs
    row = rig.row(timeout_s=3600)
    rig.worker.slots.start(row)
    until(lambda: rig.now(row).started_at, "its start")
    waiting.begin(row.key, 1, 1)
    until(lambda: rig.now(row).waits, "it waits")
    rig.clock.turn(10_000)
    waiting.hung_up(row.key)
    until(lambda: not rig.now(row).waits, "it goes on")
    rig.clock.turn(3500)
    rig.worker.slots.wake(row.key)
    waiting.begin(row.key, 1, 1)
    until(lambda: rig.now(row).waits, "it is still there, and waits")
    rig.clock.turn(10_000)
    answered: list[float] = []
    waiting.come_back(row.key, lambda: answered.append(rig.clock.boot()))
    until(lambda: answered, "it returns")
    assert rig.now(row).outcome is None
    rig.clock.turn(99)
    rig.worker.slots.wake(row.key)
    until(lambda: rig.now(row).outcome is Outcome.FAILED, "its time is over")
    assert rig.now(row).timed_out
    assert rig.now(row).waited_s == pytest.approx(20_000, abs=30)


def test_the_limit_is_looked_at_when_a_run_goes_on(working: Rig) -> None:
    """Its thread sleeps for half a minute while nothing wakes it."""
    rig, waiting = working, working.parts.waiting_runs
    row = rig.row(timeout_s=3600)
    rig.worker.slots.start(row)
    until(lambda: rig.now(row).started_at, "its start")
    rig.clock.turn(3599)
    waiting.begin(row.key, 1, 1)
    until(lambda: rig.now(row).waits, "it waits")
    waiting.hung_up(row.key)
    until(lambda: rig.now(row).outcome is Outcome.FAILED, "the last second of its time is over")
