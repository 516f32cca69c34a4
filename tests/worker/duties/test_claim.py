"""Claims: what they ask, what is done with the answers, and how soon the next one follows."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.worker.journal.row import Intent, Outcome, RunRow
from gyoza_tui.worker.session import Bounds
from tests.scripted_server import SERVER_ID, Reply, Request, ScriptedServer, refusal
from tests.worker.rig import Rig


def _run(run_id: str = "r1", **fields: Any) -> dict[str, Any]:
    return {"id": run_id, "image": "op", "state": "ASSIGNED", "attempt": 1, "lease": "l1"} | fields


def _wait(rig: Rig) -> float:
    """One claim; seconds until the next."""
    wait: float = rig.claim.step() - rig.clock.boot()
    return wait


def test_a_claim_says_who_how_many_and_what_is_here(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.row("r1", attempt=2)
    rig.end(rig.row("r2"))
    rig.row("held", server_id="another")
    rig.claim.step()
    (request,) = scripted.of("claim")
    assert request.path == "/workers/w1/claim"
    assert request.body == {
        "max": 2,  # what is held still runs here
        "wait_s": 10,
        "instance_id": rig.parts.state_dir.instance_id,
        "epoch": rig.parts.state_dir.epoch,
        "have": [{"id": "r1", "attempt": 2}, {"id": "r2", "attempt": 1}],
    }


def test_nothing_is_claimed_before_the_server_took_a_beat(rig: Rig, scripted: ScriptedServer) -> None:
    rig.claim.step()
    assert scripted.requests == []
    assert not rig.parts.wakes.beat.is_set(), "the first may let a screen go first"
    rig.beat()
    assert rig.parts.wakes.claim.is_set()


def test_a_server_that_has_forgotten_the_worker_gets_a_beat_before_the_next_claim(
    rig: Rig, scripted: ScriptedServer
) -> None:
    rig.registered()
    scripted.defaults["claim"] = refusal(404, ErrorCode.WORKER_UNKNOWN)
    rig.claim.step()
    rig.claim.step()
    assert len(scripted.of("claim")) == 1
    assert rig.parts.wakes.beat.is_set()


def test_nothing_is_claimed_before_every_backend_was_looked_at(rig: Rig, scripted: ScriptedServer) -> None:
    """The answer may repeat a run of a former start, which would be given back for want of a look."""
    rig.beat()
    rig.claim.step()
    assert scripted.of("claim") == []
    rig.reconcile.step()
    assert rig.parts.wakes.claim.is_set()
    rig.claim.step()
    assert len(scripted.of("claim")) == 1


def test_a_run_is_journaled_and_started(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    scripted.script("claim", Reply([_run(inputs={"a": 1})], headers={"X-Server-Id": SERVER_ID}))
    assert _wait(rig) == 0
    (row,) = rig.started
    assert rig.journal.rows() == (row,)
    assert (row.server_id, row.backend, row.attempt, row.lease, row.run.inputs) == (
        SERVER_ID,
        "docker",
        1,
        "l1",
        {"a": 1},
    )


def test_the_row_is_of_the_server_that_answered_the_claim(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    scripted.script("claim", Reply([_run()], headers={"X-Server-Id": "a new one"}))
    rig.claim.step()
    assert rig.started[0].server_id == "a new one"


def test_an_answer_that_comes_again_starts_nothing_twice(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    scripted.defaults["claim"] = Reply([_run()])
    for _ in range(3):
        rig.claim.step()
    assert len(rig.started) == 1
    assert len(rig.journal.rows()) == 1


def test_the_same_attempt_with_a_new_lease_is_another_row(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    scripted.script("claim", Reply([_run(lease="l1")]), Reply([_run(lease="l2")]))
    rig.claim.step()
    rig.claim.step()
    assert [row.lease for row in rig.started] == ["l1", "l2"]
    assert rig.now(rig.started[0]).intent is Intent.LOST, "the older lease ends first"


@pytest.mark.parametrize("taken", [True, False])
def test_a_newer_attempt_ends_the_older_one_even_if_it_is_given_back(
    rig: Rig, scripted: ScriptedServer, *, taken: bool
) -> None:
    older = rig.registered().row(attempt=1)
    constraints = {} if taken else {"ram_mb": 10**7}
    scripted.script("claim", Reply([_run(attempt=2, lease="l2", constraints=constraints)]))
    rig.claim.step()
    assert rig.now(older).intent is Intent.LOST
    assert [row.attempt for row in rig.started] == ([2] if taken else [])


def test_the_older_attempts_slot_is_no_hindrance_for_the_newer(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    for name in ("r1", "r2", "r3", "r4"):
        rig.row(name)
    scripted.script("claim", Reply([_run("r2", attempt=2, lease="l2")]))
    rig.claim.step()
    assert [row.run_id for row in rig.started] == ["r2"]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (_run(constraints={"ram_mb": 10**7}), "needs ram_mb 10000000"),
        (_run(constraints={"cpu": 4000}), "needs cpu 4000"),
        (_run(constraints={"vram_mb": 1000}), "needs a GPU"),
        (_run(image="slurm://x"), "no backend for slurm://"),
        (_run(image="rm -rf /; bad name"), ""),
        (_run(volumes={"/etc": "/etc"}), "no volumes here"),
    ],
)
def test_what_this_machine_cannot_run_goes_back_with_the_reason(
    rig: Rig, scripted: ScriptedServer, run: dict[str, Any], words: str
) -> None:
    rig.registered()
    scripted.script("claim", Reply([run, _run("good")]))
    rig.claim.step()
    assert [row.run_id for row in rig.started] == ["good"], "one bad run must not hide the next"
    rig.deliver.step()
    (patch,) = scripted.of("patch")
    assert patch.body["state"] == "PENDING"
    assert words in patch.body["reason"]
    assert rig.only(rig.journal.closed(5)).outcome is Outcome.RELEASED


def test_never_more_than_max_runs(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    scripted.script("claim", Reply([_run(f"r{number}") for number in range(6)]))
    rig.claim.step()
    assert len(rig.started) == 4
    rig.deliver.step()
    assert {patch.body["reason"] for patch in scripted.of("patch")} == {"all 4 slots are taken"}


@pytest.mark.parametrize("how", ["pause", "drain"])
def test_a_worker_that_takes_nothing_claims_none_and_gives_lost_answers_back(
    rig: Rig, scripted: ScriptedServer, how: str
) -> None:
    rig.registered()
    if how == "pause":
        rig.worker.control.pause()
    else:
        rig.parts.mode.drain(True)
    scripted.script("claim", Reply([_run()]))
    rig.claim.step()
    assert scripted.of("claim")[0].body["max"] == 0
    assert rig.started == []
    rig.deliver.step()
    assert "this worker is" in scripted.of("patch")[0].body["reason"]


def test_a_backend_in_trouble_is_claimed_nothing_for(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.backend.down = "docker is gone"
    rig.parts.pool.check()
    scripted.script("claim", Reply([_run()]))
    rig.claim.step()
    assert scripted.of("claim")[0].body["max"] == 0
    rig.deliver.step()
    assert scripted.of("patch")[0].body["reason"] == "docker: docker is gone"


def test_a_low_disk_is_claimed_nothing_with(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.parts.mode.disk_low("disk full: 3 MB free")
    assert rig.parts.capacity.wanted == 0
    scripted.script("claim", Reply([_run()]))
    rig.claim.step()
    rig.deliver.step()
    assert scripted.of("patch")[0].body["reason"] == "disk full: 3 MB free"


# How soon the next one follows


def test_an_early_empty_answer_means_beat_then_claim_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beat is another thread's: here it is sent as soon as the claim has asked for it."""
    rig.registered()
    rig.clock.turn(1)
    rig.parts.wakes.beat.clear()
    asked = []

    def turned(event: Any, timeout_s: float) -> bool:
        if rig.parts.wakes.beat.is_set():
            asked.append(True)
            rig.parts.wakes.beat.clear()
            rig.clock.turn(0.01)
            rig.heartbeat.beat(1)
        rig.clock.turn(timeout_s)
        return bool(event.is_set())

    monkeypatch.setattr(rig.clock, "wait", turned)
    assert _wait(rig) <= 0
    assert asked == [True]


def test_an_empty_answer_in_its_time_asks_for_no_beat(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    rig.parts.wakes.beat.clear()

    def late(_request: Request) -> Reply:
        rig.clock.turn(10)
        return Reply([])

    scripted.script("claim", late)
    assert _wait(rig) <= 0
    assert not rig.parts.wakes.beat.is_set()


@pytest.mark.parametrize("answer", [[], [_run()], [_run("too big", constraints={"ram_mb": 10**7})]])
def test_a_server_without_protocol_is_not_spun_on(rig: Rig, scripted: ScriptedServer, answer: list[Any]) -> None:
    """Empty, already journaled, or given back: the next claim is a heartbeat later."""
    scripted.defaults["beat"] = Reply({})
    rig.registered()
    scripted.defaults["claim"] = Reply(answer)
    rig.claim.step()
    for _ in range(3):
        assert _wait(rig) == pytest.approx(5, abs=0.1)


def test_a_server_without_protocol_is_asked_again_at_once_after_news(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = Reply({})
    rig.registered()
    scripted.script("claim", Reply([_run()]))
    assert _wait(rig) <= 0


@pytest.mark.parametrize("trouble", [refusal(500), refusal(401), Reply(drop=True), Reply(b"<html>"), Reply({"a": 1})])
def test_failed_claims_back_off(rig: Rig, scripted: ScriptedServer, trouble: Reply) -> None:
    rig.registered()
    scripted.defaults["claim"] = trouble
    waits = []
    for _ in range(10):
        waits.append(_wait(rig))
        rig.clock.turn(waits[-1])
    assert waits[0] <= 1
    assert 15 <= waits[-1] <= 30
    rig.parts.wakes.claim.clear()
    rig.beat()
    assert rig.parts.wakes.claim.is_set(), "any success wakes it"


def test_a_claim_that_cannot_be_journaled_is_not_repeated_in_a_loop(
    rig: Rig, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.registered()
    scripted.defaults["claim"] = Reply([_run()])

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(rig.journal, "take", full)
    waits = []
    for _ in range(8):
        waits.append(_wait(rig))
        rig.clock.turn(waits[-1])
    assert sum(waits) > 20
    assert "claim: OperationalError: disk I/O error" in rig.said()


def test_what_this_worker_may_never_run_goes_back_for_good(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered()
    forbidden = _run("forbidden", volumes={"/etc": "/data"})
    scripted.script("claim", Reply([forbidden, _run("large", constraints={"cpu": 4000})]))
    rig.claim.step()
    rig.deliver.step()
    patches = {request.path.rpartition("/")[2]: request.body for request in scripted.of("patch")}
    assert (patches["forbidden"]["reason"], patches["forbidden"]["final"]) == ("no volumes here", True)
    assert "final" not in patches["large"]


# Runs that wait for their children


def _knows_waiting(rig: Rig, scripted: ScriptedServer) -> Rig:
    beat = scripted.defaults["beat"]
    assert isinstance(beat, Reply)
    assert isinstance(beat.body, dict)
    beat.body["features"] = ["waiting"]
    return rig.registered()


def _parent(rig: Rig, run_id: str = "parent") -> RunRow:
    row = rig.row(run_id)
    rig.journal.update(row.key, step="run_container", waiting_since=1.0, waits_left=1, waits_of=1)
    return rig.now(row)


def _asked(rig: Rig) -> tuple[int, str | None, list[str] | None]:
    request = rig.parts.claim_requests.next(0.0)
    return request.max, request.children, request.only


def test_a_drain_claims_what_its_runs_wait_for(rig: Rig, scripted: ScriptedServer) -> None:
    _knows_waiting(rig, scripted)
    rig.parts.mode.drain(True)
    awake = rig.row("awake")
    assert _asked(rig) == (0, None, None)
    _parent(rig)
    assert _asked(rig) == (3, "mine", None)
    scripted.script("claim", Reply([_run("child")]))
    rig.claim.step()
    assert [row.run_id for row in rig.started] == ["child"]
    assert rig.now(awake).intent is Intent.NONE


def test_a_drain_gives_back_what_an_earlier_claim_is_answered_with(rig: Rig, scripted: ScriptedServer) -> None:
    _parent(_knows_waiting(rig, scripted))
    request = rig.parts.claim_requests.next(0.0)
    rig.parts.mode.drain(True)
    scripted.script("claim", Reply([_run("late")]))
    rig.parts.intake.take(rig.parts.claim_requests.send(request), request.children)
    assert "late given back: this worker is draining" in rig.said()


@pytest.mark.parametrize("how", ["paused", "disk", "release", "old server"])
def test_what_forbids_all_claims_forbids_those_for_parents(rig: Rig, scripted: ScriptedServer, how: str) -> None:
    parent = _parent(rig.registered() if how == "old server" else _knows_waiting(rig, scripted))
    match how:
        case "paused":
            rig.parts.mode.pause(True)
        case "disk":
            rig.parts.mode.drain(True)
            rig.parts.mode.disk_low("10 MB are free")
        case "release":
            rig.parts.mode.drain(True)
            rig.worker.slots.intend(parent, Intent.RELEASE, "the worker was stopped")
        case _:
            rig.parts.mode.drain(True)
    assert _asked(rig)[0] == 0


def test_many_that_wait_limit_what_is_claimed_not_who_waits(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = _knows_waiting(Rig(scripted, tmp_path / "state", {"max_runs": 1, "waiting_max": 2}), scripted)
    parents = [_parent(rig, "p1")]
    assert _asked(rig) == (1, None, None)
    parents.append(_parent(rig, "p2"))
    assert _asked(rig) == (1, "any", None)
    for _ in range(2):
        rig.claim.step()
    assert rig.said().count("only what runs wait for is claimed") == 1
    rig.journal.update(parents[0].key, waiting_since=None)
    rig.end(parents[0])
    assert _asked(rig) == (1, None, None)
    rig.close()


def test_four_may_wait_per_slot_unless_it_is_set(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = _knows_waiting(Rig(scripted, tmp_path / "state", {"max_runs": 2}), scripted)
    for number in range(8):
        assert _asked(rig) == (2, None, None)
        _parent(rig, f"p{number}")
    assert _asked(rig) == (2, "any", None)
    rig.close()


def test_a_session_for_one_run_claims_what_that_waits_for(rig: Rig, scripted: ScriptedServer) -> None:
    _knows_waiting(rig, scripted)
    rig.parts.session.bounds = Bounds(run_id="parent")
    assert _asked(rig) == (4, None, ["parent"])
    parent = _parent(rig)
    assert _asked(rig) == (4, "mine", None)
    rig.journal.update(parent.key, waiting_since=None)
    assert _asked(rig) == (3, None, ["parent"])


def test_a_session_whose_time_is_over_claims_what_its_runs_wait_for(rig: Rig, scripted: ScriptedServer) -> None:
    _parent(_knows_waiting(rig, scripted))
    rig.parts.session.bounds = Bounds(until_empty=True, max_seconds=10)
    rig.parts.session.begin()
    rig.clock.turn(11)
    rig.beat()
    rig.parts.session_end.look()
    rig.parts.ending.follow()
    rig.claim.step()
    (claim,) = scripted.of("claim")
    assert (claim.body["max"], claim.body["children"]) == (4, "mine")


def test_a_drain_says_which_child_no_worker_can_take(
    rig: Rig, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _parent(_knows_waiting(rig, scripted))
    waited_for = {"parent": frozenset({"big", "small"})}
    monkeypatch.setattr(rig.parts.op_channel, "pending", lambda _server, then: then(waited_for))
    monkeypatch.setattr("gyoza_tui.worker.duties.claim._EARLY_S", 20)
    why = {"big": "needs ram_mb 900000; the largest worker has 64000"}

    def run(request: Request) -> Reply:
        run_id = request.path.split("?")[0].rpartition("/")[2]
        return Reply({"id": run_id, "image": "op", "state": "PENDING", "placement": why.get(run_id)})

    scripted.defaults["get"] = run
    rig.claim.step()
    assert scripted.of("get") == [], "it claims for all"
    rig.parts.mode.drain(True)
    for _ in range(2):
        rig.claim.step()
    words = "big, which parent waits for, is not placed: needs ram_mb 900000; the largest worker has 64000"
    assert rig.said().count(words) == 1
    assert "small, which" not in rig.said()
    why["big"] = "no worker is known"
    rig.claim.step()
    assert "big, which parent waits for, is not placed: no worker is known" in rig.said()
    assert rig.worker.control.snapshot().unplaced == {"big": "no worker is known"}
    rig.parts.mode.drain(False)
    rig.claim.step()
    assert rig.worker.control.snapshot().unplaced == {}
