"""A run that cannot be started: charged to it while the machine is well, given back while it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from gyoza_tui.backends.base import BackendBroken, BackendError, BackendUnavailable, PullFailed, StartRefused
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import EventReport, RunPatch
from gyoza_tui.models.states import EventType, RunState
from gyoza_tui.worker.execution_pipeline import services
from gyoza_tui.worker.journal.row import Outcome, RunRow
from tests.scripted_server import ScriptedServer
from tests.waiting import until
from tests.worker.fake_backend import FakeOp
from tests.worker.rig import Rig


@pytest.fixture
def rig(scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Its slots run threads, as in a worker; an engine is waited for a moment only."""
    monkeypatch.setattr("gyoza_tui.worker.execution_pipeline.steps.run_container.ENGINE_PATIENCE_S", 0.3)
    monkeypatch.setattr(services.Services.patiently, "__defaults__", (0.3, None))
    made = Rig(scripted, tmp_path / "state", {"stop_grace_s": 0}, clock=SystemClock())
    del made.worker.slots.start
    made.parts.pool.check()
    made.backend.known["op"] = FakeOp()
    yield made
    made.close()


def _ended(rig: Rig, row: RunRow | None = None) -> RunRow:
    row = row or rig.row()
    rig.worker.slots.start(row)
    until(lambda: rig.now(row).cleaned and not rig.worker.slots.count, "its end")
    return rig.now(row)


def _reports(rig: Rig) -> list[EventReport | RunPatch]:
    return [row.report for row in rig.journal.outbox()]


def _given_back(rig: Rig, row: RunRow, why: str) -> None:
    assert (row.outcome, row.outcome_note) == (Outcome.RELEASED, why)
    (patch,) = _reports(rig)
    assert isinstance(patch, RunPatch)
    assert (patch.state, patch.reason) == (RunState.PENDING, why)
    assert (list(rig.backend.containers), rig.parts.state_dir.run_dirs()) == ([], [])


def test_a_broken_engine_gives_back_and_claims_no_more(rig: Rig) -> None:
    rig.backend.broken = "no bridge"
    _given_back(rig, _ended(rig), "no bridge")
    assert rig.parts.wakes.beat.is_set()
    assert rig.parts.wakes.reconcile.is_set(), "it looks when to probe again"
    assert rig.parts.presence.request([], with_inputs=False).backends == []
    assert (rig.parts.capacity.wanted, rig.parts.pool.trouble) == (0, {"docker": "no bridge"})


def test_a_run_that_an_engine_in_health_refuses_is_not_executable(rig: Rig) -> None:
    rig.backend.fail["start"] = StartRefused("refused: a mount")
    row = _ended(rig)
    assert row.outcome is Outcome.FAILED
    (failed,) = _reports(rig)
    assert isinstance(failed, EventReport)
    assert failed.payload is not None
    assert (failed.type, failed.payload["reason"]) == (EventType.FAILED, "not_executable")
    assert rig.parts.pool.available == ["docker"]


@pytest.mark.parametrize("method", ["create", "output", "start"])
def test_what_is_surely_the_machines_goes_back_whatever_a_probe_finds(rig: Rig, method: str) -> None:
    rig.backend.fail[method] = StartRefused("too many open files", machines_fault=True)
    _given_back(rig, _ended(rig), "too many open files")
    assert rig.parts.pool.available == ["docker"]


def test_a_failed_put_on_a_broken_engine_goes_back(rig: Rig) -> None:
    rig.backend.broken = "no disk driver"
    rig.backend.fail["put"] = BackendError("refused")
    _given_back(rig, _ended(rig), "no disk driver")


@pytest.mark.parametrize("method", ["pull", "create", "output"])
def test_an_engine_that_stays_away_before_the_start_fails_no_run(rig: Rig, method: str) -> None:
    class Away(dict[str, BackendError]):
        """That method finds the engine away until the run was given back, all others find it there."""

        def __contains__(self, asked: object) -> bool:
            return asked == method

        def pop(self, asked: str, *_: object) -> BackendError:
            return BackendUnavailable("stopped")

    rig.backend.fail = Away()
    row = _ended(rig)
    assert (row.outcome, row.outcome_note) == (Outcome.RELEASED, "stopped")


def test_what_was_made_and_never_started_goes_back_while_its_engine_is_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it runs that would have to be stopped first."""

    def output(*_: object) -> NoReturn:
        rig.backend.down = "stopped"
        raise BackendUnavailable("stopped")

    with monkeypatch.context() as away:
        away.setattr(rig.backend, "output", output)
        row = rig.row()
        rig.worker.slots.start(row)
        until(lambda: rig.now(row).outcome, "its end")
    assert (rig.now(row).outcome, rig.now(row).cleaned) == (Outcome.RELEASED, False)
    rig.backend.down = None
    until(lambda: rig.now(row).cleaned and not rig.worker.slots.count, "the container is removed")


def test_an_engine_that_answers_and_cannot_start_does_not_hold_the_slot(rig: Rig) -> None:
    class Broken(dict[str, BackendError]):
        def __contains__(self, asked: object) -> bool:
            return asked == "start"

        def pop(self, asked: str, *_: object) -> BackendError:
            return BackendBroken("containerd is away")

    rig.backend.fail = Broken()
    _given_back(rig, _ended(rig), "containerd is away")


def test_an_adopted_run_waits_for_its_engine_however_long(rig: Rig) -> None:
    """Its container may be at work: it is not stopped for an engine that answers late."""
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    row = rig.row()
    rig.worker.slots.start(row)
    container = until(lambda: next(iter(rig.backend.containers.values()), None), "the container")
    until(lambda: rig.now(row).started_at, "its start")
    rig.worker.close()

    again = Rig(rig.server, rig.state, clock=SystemClock(), backends={"docker": rig.backend})
    del again.worker.slots.start
    rig.backend.down = "stopped"
    again.worker.slots.start(again.now(row))
    until(lambda: again.worker.slots.again(row.key), "it waits")
    again.clock.wait(again.parts.wakes.reconcile, 1.0)
    assert again.now(row).outcome is None
    rig.backend.down = None
    container.op.go.set()
    until(lambda: again.now(row).cleaned, "its end")
    assert again.now(row).outcome is Outcome.COMPLETED
    again.close()


def test_a_registry_that_is_away_gives_back(rig: Rig) -> None:
    rig.parts.pulls._limits = rig.parts.pulls._limits._replace(retry_s=())
    rig.backend.fail["pull"] = PullFailed("the registry does not answer", retryable=True)
    row = _ended(rig)
    assert row.outcome is Outcome.RELEASED
    assert rig.parts.pool.available == ["docker"]


def test_a_registry_that_refuses_is_no_reason_to_try_elsewhere(rig: Rig) -> None:
    rig.backend.fail["pull"] = PullFailed("wrong password", retryable=False)
    assert _ended(rig).outcome is Outcome.FAILED
