"""When a worker counts as hung: by a duty that does not come back, never by what it comes back with."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from gyoza_tui.models.limits import TIMEOUT_S_MAX
from gyoza_tui.worker.duties.duty import Duty, Fault
from gyoza_tui.worker.monitoring.vital_signs import HUNG_S, VitalSigns
from tests.scripted_server import Reply, ScriptedServer
from tests.worker.rig import Rig


@pytest.fixture
def signs(rig: Rig) -> VitalSigns:
    return VitalSigns(rig.clock, rig.worker.duties, rig.link)


def _during_a_tick(rig: Rig, duty: Duty, monkeypatch: pytest.MonkeyPatch, then: object) -> None:
    """Have a tick of the duty take longer than it may, and look meanwhile."""

    def tick() -> float:
        rig.clock.turn(HUNG_S + 1)
        then()  # type: ignore[operator]
        return 5.0

    monkeypatch.setattr(duty, "tick", tick)
    duty.step()


def test_a_worker_that_has_not_begun_is_not_hung(rig: Rig, signs: VitalSigns) -> None:
    rig.clock.turn(HUNG_S * 10)
    assert (signs.hung(), signs.degraded()) == ({}, {})


def test_a_tick_that_does_not_come_back(rig: Rig, signs: VitalSigns, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    _during_a_tick(rig, rig.deliver, monkeypatch, lambda: seen.append(signs.hung()))
    assert seen == [{"deliver": f"its tick has not come back for {HUNG_S + 1:.0f} s"}]
    assert signs.hung() == {}, "it is back"


def test_a_duty_that_is_never_begun_again(rig: Rig, signs: VitalSigns) -> None:
    rig.beat()
    assert rig.heartbeat.due is not None
    rig.clock.turn(rig.heartbeat.due - rig.clock.boot() + HUNG_S - 1)
    assert signs.hung() == {}
    rig.clock.turn(2)
    assert list(signs.hung()) == ["heartbeat"]


def test_another_duty_makes_it_worse_and_not_hung(rig: Rig, signs: VitalSigns, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    _during_a_tick(rig, rig.guard, monkeypatch, lambda: seen.append((signs.hung(), list(signs.degraded()))))
    assert seen == [({}, ["guard"])]


def test_each_report_is_a_sign_of_life(rig: Rig, signs: VitalSigns, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.registered()
    row = rig.row()
    rig.says(row, *(f"line {number}" for number in range(250)))
    send, seen = rig.parts.client.add_events, []

    def slowly(*arguments: object) -> object:
        rig.clock.turn(HUNG_S - 1)
        seen.append("deliver" in signs.hung())
        return send(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rig.parts.client, "add_events", slowly)
    rig.deliver.step()
    assert seen == [False] * 3, "three requests, which together take far longer than one may"


def test_a_server_that_is_away_hangs_nothing(rig: Rig, signs: VitalSigns, scripted: ScriptedServer) -> None:
    rig.registered()
    for kind in ("beat", "claim", "event"):
        scripted.defaults[kind] = Reply(drop=True)
    for _ in range(3):
        rig.heartbeat.step()
        rig.claim.step()
        rig.deliver.step()
        rig.clock.turn(30)
    assert signs.hung() == {}
    assert signs.degraded()["heartbeat"] == "its last tick failed"
    assert rig.heartbeat.faults[Fault.SERVER] == 3


def test_a_thread_that_died(rig: Rig, signs: VitalSigns, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies() -> float:
        raise SystemExit

    monkeypatch.setattr(rig.claim, "tick", dies)
    rig.claim.start()
    assert rig.claim._thread is not None
    rig.claim._thread.join(10)
    rig.claim.keep_alive()
    assert signs.hung() == {"claim": "its thread has died"}
    assert rig.claim.faults[Fault.DEATH] == 1
    rig.claim.stop()


def test_what_a_tick_fails_by(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OSError("full"), ValueError("odd"), httpx.ConnectError("refused")):
        monkeypatch.setattr(rig.guard, "tick", lambda error=error: (_ for _ in ()).throw(error))
        rig.guard.step()
    assert rig.guard.faults == {Fault.DISK: 1, Fault.OTHER: 1, Fault.SERVER: 1}


def test_long_intervals_have_their_time(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", settings={"heartbeat_s": TIMEOUT_S_MAX})
    try:
        signs = VitalSigns(rig.clock, rig.worker.duties, rig.link)
        rig.heartbeat.due = rig.clock.boot()
        rig.clock.turn(HUNG_S * 2)
        assert signs.hung() == {}
    finally:
        rig.close()
