"""Heartbeats: what they say, when they go out, and what becomes of runs by their replies."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from gyoza_tui.backends.base import Exit
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.limits import RUNS_LISTED_MAX, RUNS_PER_CLAIM_MAX
from gyoza_tui.models.states import EventType
from gyoza_tui.worker.journal.row import Intent, Outcome
from tests.scripted_server import SERVER_ID, Reply, ScriptedServer, refusal
from tests.waiting import until
from tests.worker.rig import Rig


def _says(scripted: ScriptedServer, run_id: str = "r1", **verdict: Any) -> None:
    """The next beats' replies have this verdict."""
    scripted.defaults["beat"] = Reply(
        {
            "protocol": 1,
            "lease_s": 30,
            "grace_s": 300,
            "heartbeat_s": 5,
            "server_id": SERVER_ID,
            "runs": {run_id: verdict},
        }
    )


def test_a_beat_says_who_what_and_how_much(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.row("r1", lease="l1", constraints=Constraints(cpu=1, ram_mb=10))
    rig.journal.begin_step(rig.journal.rows()[0].key, "run_container")
    rig.beat()
    first, beat = (request.body for request in scripted.of("beat"))
    assert beat["worker_id"] == "w1"
    assert (first["beat"], beat["beat"]) == (1, 2)
    assert beat["instance_id"] == rig.parts.state_dir.instance_id
    assert beat["epoch"] == rig.parts.state_dir.epoch
    assert (beat["state"], beat["max_runs"], beat["free_slots"]) == ("claiming", 4, 3)
    assert beat["backends"] == ["docker"]
    assert beat["protocol"] == 1
    assert beat["features"] == ["fractional_cpu", "wanted_state", "waiting", "freeze"]
    assert beat["running_ops"] == [
        {
            "id": "r1",
            "image": "op",
            "constraints": {"cpu": 1, "ram_mb": 10},
            "attempt": 1,
            "lease": "l1",
            "phase": "run_container",
        }
    ]


def test_inputs_go_only_to_a_server_without_protocol(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = Reply({})
    rig.registered()
    rig.row("r1", server_id="", inputs={"a": 1})
    rig.beat()
    assert scripted.of("beat")[-1].body["running_ops"][0]["inputs"] == {"a": 1}


def test_every_run_is_listed_until_its_end_is_acknowledged(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.end(rig.row("waits"))
    rig.release(rig.row("goes back"))
    rig.row("held", server_id="another")
    lost = rig.row("lost")
    rig.journal.intend(lost.key, Intent.LOST, "")
    rig.journal.finish(lost.key, Outcome.LOST, "", [])
    rig.beat()
    assert [op["id"] for op in scripted.of("beat")[-1].body["running_ops"]] == ["waits", "goes back"]
    rig.deliver_for(1)
    rig.beat()
    assert scripted.of("beat")[-1].body["running_ops"] == []


@pytest.mark.parametrize(
    ("verdict", "intent"),
    [
        ({"verdict": "ok", "state": "RUNNING", "attempt": 1}, Intent.NONE),
        ({"verdict": "cancel", "state": "CANCELLED", "attempt": 1}, Intent.CANCEL),
        ({"verdict": "lost", "state": "RUNNING", "attempt": 1}, Intent.LOST),
        ({"verdict": "lost", "state": "RUNNING", "attempt": 2}, Intent.LOST),
        ({"verdict": "ok", "attempt": 2}, Intent.LOST),
        ({"verdict": "ok", "state": "RUNNING", "attempt": 1, "want": "release"}, Intent.RELEASE),
        ({"verdict": "cancel", "state": "CANCELLED", "attempt": 1, "want": "release"}, Intent.CANCEL),
        ({"verdict": "ok", "state": "RUNNING", "attempt": 1, "want": "frozen"}, Intent.NONE),
        ({"verdict": "unknown"}, Intent.NONE),
    ],
)
def test_verdicts_on_a_started_run(rig: Rig, scripted: ScriptedServer, verdict: dict[str, Any], intent: Intent) -> None:
    row = rig.registered().row()
    _says(scripted, **verdict)
    rig.beat()
    assert rig.now(row).intent is intent
    assert rig.now(row).by_server is (intent is Intent.CANCEL)


def test_unknown_closes_what_has_not_started(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.registered().row(started=False)
    _says(scripted, verdict="unknown")
    rig.beat()
    assert rig.now(row).intent is Intent.LOST


def test_held_closes_what_has_not_started_and_leaves_the_rest(rig: Rig) -> None:
    fresh = rig.row("fresh", server_id="another", started=False)
    started = rig.row("started", server_id="another")
    assert not rig.link.state.holds(fresh.server_id), "no server has answered yet"
    rig.registered()
    assert rig.now(fresh).intent is Intent.LOST
    assert rig.now(started).intent is Intent.NONE


def test_what_ends_while_it_waits_is_told_as_waiting_to_its_end(rig: Rig, scripted: ScriptedServer) -> None:
    row = rig.row("r1")
    rig.journal.update(row.key, waiting_since=1.0, waits_left=2, waits_of=3)
    rig.journal.update(row.key, exit=Exit(code=137))
    rig.beat()
    rig.end(row)
    rig.beat()
    told = [beat.body["running_ops"][0]["waiting"] for beat in scripted.of("beat")]
    assert [waiting and waiting["left"] for waiting in told] == [2, 2]


@pytest.mark.parametrize("verdict", ["lost", "unknown", "cancel"])
def test_no_verdict_drops_a_report(rig: Rig, scripted: ScriptedServer, verdict: str) -> None:
    rig.end(rig.registered().row())
    _says(scripted, verdict=verdict, attempt=1)
    rig.beat()
    assert [row.event.type for row in rig.journal.outbox() if row.event] == [EventType.COMPLETED]


def test_a_verdict_is_not_for_a_run_claimed_after_the_beat_was_sent(rig: Rig, scripted: ScriptedServer) -> None:
    """The lease given back is `lost`; the same attempt comes again with a new lease while the beat is under way."""
    rig.registered()
    rig.release(rig.row("r1", lease="old"))
    _says(scripted, verdict="lost", attempt=1, state="ASSIGNED")
    rig.heartbeat.step()
    fresh = rig.row("r1", lease="new", started=False)
    rig.verdicts.step()
    assert rig.now(fresh).intent is Intent.NONE


def test_of_two_attempts_the_verdict_is_for_the_newer(rig: Rig, scripted: ScriptedServer) -> None:
    older, newer = rig.registered().row(attempt=1), rig.row(attempt=2, lease="l2")
    _says(scripted, verdict="cancel", state="CANCELLED", attempt=2)
    rig.beat()
    assert (rig.now(older).intent, rig.now(newer).intent) == (Intent.LOST, Intent.CANCEL)


def test_the_servers_interval_is_kept(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    assert rig.beat() == pytest.approx(5, abs=0.1)
    scripted.defaults["beat"] = Reply({"protocol": 1, "heartbeat_s": 2})
    assert rig.beat() == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    "trouble", [refusal(500), refusal(401), Reply({}, 429, {"Retry-After": "60"}), Reply(drop=True)]
)
def test_beats_go_on_at_their_interval_whatever_they_are_answered(
    rig: Rig, scripted: ScriptedServer, trouble: Reply
) -> None:
    rig.registered()
    scripted.defaults["beat"] = trouble
    for _ in range(8):
        assert rig.beat() == pytest.approx(5, abs=0.1)
    assert rig.link.state.trouble is not None


def test_a_beat_that_ran_into_its_timeout_is_followed_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hung must hear the next beat an interval after the last was sent, not after it failed."""
    rig.registered()

    def hang(*_: object) -> None:
        rig.clock.turn(5)
        raise httpx.ReadTimeout("")

    monkeypatch.setattr(rig.parts.client, "beat", hang)
    assert rig.beat() < 0.1


def test_a_change_beats_at_once(rig: Rig) -> None:
    rig.registered()
    for change in (rig.worker.control.pause, rig.worker.control.resume):
        rig.parts.wakes.beat.clear()
        change()
        assert rig.parts.wakes.beat.is_set()


@pytest.mark.parametrize("code", ["instance_live", "epoch"])
def test_a_name_that_another_holds(rig: Rig, scripted: ScriptedServer, code: str) -> None:
    """It stops claiming, says who holds the name, tries each beat, and comes back."""
    row = rig.registered().row()
    scripted.defaults["beat"] = refusal(409, code, "worker w1 is held by host-2")
    assert rig.beat() == pytest.approx(5, abs=0.1)
    assert rig.link.state.name_held == "409 worker w1 is held by host-2"
    assert "held by host-2" in rig.said()
    claims = len(scripted.of("claim"))
    rig.claim.step()
    assert len(scripted.of("claim")) == claims
    assert rig.now(row).intent is Intent.NONE, "its containers go on"
    scripted.defaults["beat"] = Reply({"detail": "busy"}, 503)
    rig.beat()
    assert rig.link.state.name_held_now is None, "nobody knows any more"
    assert rig.link.state.name_held is not None
    scripted.defaults["beat"] = Reply({"protocol": 1, "server_id": SERVER_ID})
    rig.beat()
    assert rig.link.state.name_held is None
    rig.claim.step()
    assert len(scripted.of("claim")) > claims


def test_worker_unknown_means_beat_then_claim(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    scripted.script("claim", refusal(404, "worker_unknown"))
    rig.claim.step()
    rig.parts.wakes.beat.clear()
    rig.claim.step()
    assert rig.parts.wakes.beat.is_set()
    assert len(scripted.of("claim")) == 1
    rig.parts.wakes.claim.clear()
    rig.beat()
    assert rig.parts.wakes.claim.is_set()
    rig.claim.step()
    assert len(scripted.of("claim")) == 2


# The lease


def test_claims_stop_when_the_lease_may_have_run_out(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    assert rig.parts.capacity.wanted == 4
    rig.clock.turn(30.1)
    assert rig.parts.capacity.wanted == 0
    rig.claim.step()
    assert scripted.of("claim")[-1].body["max"] == 0, "a lost answer is still to be repeated"
    rig.beat()
    assert rig.parts.capacity.wanted == 4


def test_what_a_claim_answers_after_the_lease_goes_back(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.clock.turn(31)
    scripted.script("claim", Reply([{"id": "r1", "image": "op", "attempt": 1, "lease": "l"}]))
    rig.claim.step()
    assert rig.started == []
    rig.deliver.step()
    assert "lease" in scripted.of("patch")[0].body["reason"]


@pytest.mark.parametrize("policy", ["continue", "stop"])
def test_a_silent_server_stops_runs_only_if_the_owner_wants_it(
    scripted: ScriptedServer, tmp_path: Path, policy: str
) -> None:
    rig = Rig(scripted, tmp_path / "state", {"on_lease_lost": policy, "stop_grace_s": 10}).registered()
    row = rig.row()
    scripted.defaults["beat"] = Reply(drop=True)
    rig.clock.turn(30 + 300 - 10 - 1)
    rig.beat()
    assert rig.now(row).intent is Intent.NONE
    rig.clock.turn(1)
    rig.beat()
    assert rig.now(row).intent is (Intent.RELEASE if policy == "stop" else Intent.NONE)
    rig.close()


def test_without_a_lease_there_is_nothing_to_lose(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.defaults["beat"] = Reply({})
    rig = Rig(scripted, tmp_path / "state", {"on_lease_lost": "stop"}).registered()
    row = rig.row(server_id="")
    scripted.defaults["beat"] = Reply(drop=True)
    rig.clock.turn(100_000)
    rig.beat()
    assert rig.link.lease_holds
    assert rig.now(row).intent is Intent.NONE
    rig.close()


# Nothing here delays a beat


def test_no_more_runs_than_a_beat_can_list(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.registered()
    row = rig.end(rig.row())
    monkeypatch.setattr(rig.journal.memory, "rows", lambda _server: (row,) * (RUNS_LISTED_MAX - 60))
    assert rig.parts.capacity.wanted == 0
    rig.parts.presence.request(rig.journal.memory.rows(SERVER_ID), with_inputs=False)


def test_rows_of_another_server_take_no_room_from_claims(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.registered()
    monkeypatch.setattr("gyoza_tui.worker.capacity.RUNS_LISTED_MAX", RUNS_PER_CLAIM_MAX + 3)
    for number in range(3):
        rig.end(rig.row(f"held-{number}", server_id="another"))
    assert rig.parts.capacity.wanted == 3
    rig.end(rig.row("ours"))
    assert rig.parts.capacity.wanted == 2


def test_more_rows_of_other_servers_than_a_beat_can_list_keep_no_worker_from_its_first_beat(
    rig: Rig, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gyoza_tui.worker.duties.heartbeat.RUNS_LISTED_MAX", 3)
    ours = rig.row("ours")
    for number in range(4):
        rig.end(rig.row(f"held-{number}", server_id="another"))
    rig.registered()
    rig.beat()
    first, second = (request.body["running_ops"] for request in scripted.of("beat"))
    assert len(first) == 3
    assert [op["id"] for op in second] == [ours.run_id]


def test_a_disk_that_hangs_delays_no_beat(scripted: ScriptedServer, tmp_path: Path) -> None:
    """The server wants a cancel journaled while every write hangs: beats keep their interval."""
    reply = {"protocol": 1, "lease_s": 30, "heartbeat_s": 0.2, "server_id": SERVER_ID}
    _says(scripted, verdict="cancel", state="CANCELLED", attempt=1)
    scripted.defaults["beat"] = Reply(reply | {"runs": {"r1": {"verdict": "cancel", "state": "CANCELLED"}}})
    rig = Rig(scripted, tmp_path / "state", clock=SystemClock())
    rig.row()
    inside, go = threading.Event(), threading.Event()

    def write() -> None:
        with rig.journal._transaction():
            inside.set()
            go.wait(20)

    threading.Thread(target=write, daemon=True).start()
    assert inside.wait(20)
    rig.heartbeat.start()
    rig.verdicts.start()
    until(lambda: len(scripted.of("beat")) >= 8, "beats")
    arrivals = [request.at for request in scripted.of("beat")][1:]
    assert max(later - earlier for earlier, later in itertools.pairwise(arrivals)) < 5
    go.set()
    until(lambda: rig.journal.rows()[0].intent is Intent.CANCEL, "the cancel, once the disk is back")
    rig.close()


def test_an_engine_that_hangs_delays_no_beat(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.defaults["beat"] = Reply({"protocol": 1, "lease_s": 30, "heartbeat_s": 0.2, "server_id": SERVER_ID})
    rig = Rig(scripted, tmp_path / "state", clock=SystemClock())
    go = threading.Event()

    def hang() -> None:
        go.wait(20)

    rig.backend.check = hang  # type: ignore[method-assign]
    rig.worker.begin()
    until(lambda: len(scripted.of("beat")) >= 8, "beats")
    arrivals = [request.at for request in scripted.of("beat")]
    assert max(later - earlier for earlier, later in itertools.pairwise(arrivals)) < 5
    assert {request.body["free_slots"] for request in scripted.of("beat")} == {0}, "nothing is claimed for it"
    go.set()
    rig.close()


def test_the_first_beat_lets_a_screen_go_first(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", clock=SystemClock())
    rig.reconcile.first_s = 3600  # which has a beat sent for each engine that it found
    rig.worker.begin(first_beat_s=3600)
    until(lambda: len(rig.parts.history.samples()) >= 2, "two ticks of another duty")
    assert not scripted.of("beat")
    rig.parts.wakes.beat.set()
    until(lambda: scripted.of("beat"), "the beat")
    rig.close()


def test_the_lease_counts_from_before_the_beat_was_sent(rig: Rig, scripted: ScriptedServer) -> None:
    """The server counts from the beat's arrival, which an answer that took 20 s on its way back does not change."""
    answer = scripted.defaults["beat"]
    assert isinstance(answer, Reply)

    def late(_request: object) -> Reply:
        rig.clock.turn(20)
        return answer

    scripted.script("beat", late)
    rig.registered()
    assert rig.link.silent_s == pytest.approx(20, abs=1)
    rig.clock.turn(9)
    assert rig.link.lease_holds
    rig.clock.turn(2)
    assert not rig.link.lease_holds
    assert rig.parts.capacity.wanted == 0


# Good-bye


def test_away_is_said_with_its_time(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.heartbeat.fall_silent()
    rig.heartbeat.say_away()
    beat = scripted.of("beat")[-1].body
    assert (beat["state"], beat["away_s"]) == ("away", 3600)


def test_no_beat_follows_the_good_bye(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.heartbeat.fall_silent()
    beats = len(scripted.of("beat"))
    rig.heartbeat.step()
    assert len(scripted.of("beat")) == beats
