"""The engine against the journal, the server that says little by itself, disks."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.base import BackendUnavailable, FoundAttempt, Label, Spec
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.state_dir.owner import Owner
from gyoza_tui.worker.view.phase import Phase
from gyoza_tui.worker.view.run_views import view_of
from tests.scripted_server import Reply, Request, ScriptedServer, refusal
from tests.worker.fake_backend import FakeOp
from tests.worker.rig import Rig


def _container(rig: Rig, run_id: str = "r1", *, worker_id: str = "w1", lease: str = "l1", running: bool = True) -> str:
    """A container with the labels of an attempt of ours."""
    name = f"gyoza-{run_id}-1-{lease}"
    labels: dict[str, str] = {
        Label.WORKER: worker_id,
        Label.INSTANCE: rig.parts.state_dir.instance_id,
        Label.SERVER: "scripted",
        Label.RUN: run_id,
        Label.ATTEMPT: "1",
        Label.LEASE: lease,
    }
    rig.backend.known["op"] = FakeOp(ends_at_once=False)
    handle = rig.backend.create(Spec(name=name, image="op", run_dir=Path("/nowhere"), labels=labels))
    if running:
        rig.backend.start(handle)
    return name


def test_what_belongs_to_a_run_at_work_is_left_alone(rig: Rig) -> None:
    row = rig.registered().row()
    rig.journal.update(row.key, handle={"name": _container(rig)})
    rig.reconcile.step()
    assert rig.backend.removed == []


@pytest.mark.parametrize("running", [True, False])
def test_a_container_left_from_an_ended_run_is_removed(rig: Rig, *, running: bool) -> None:
    rig.end(rig.registered().row())
    rig.deliver_for(1)
    name = _container(rig, running=running)
    rig.reconcile.step()
    assert rig.backend.removed == [name]


def test_a_container_without_a_row_is_stopped_and_given_back(rig: Rig) -> None:
    rig.registered()
    name = _container(rig)
    rig.reconcile.step()
    (row,) = rig.started
    assert (row.name, row.run_id, row.attempt, row.lease, row.server_id) == (name, "r1", 1, "l1", "scripted")
    assert (row.intent, row.handle) == (Intent.RELEASE, {"name": name})
    rig.reconcile.step()
    assert len(rig.started) == 1


def test_a_container_without_a_row_is_given_back_whatever_ends_the_worker_then(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row without its container, or without the wish, would have the op run again or fail."""
    rig.registered()
    name = _container(rig)
    monkeypatch.setattr(rig.journal, "update", _full)
    monkeypatch.setattr(rig.journal, "intend", _full)
    rig.reconcile.step()
    (row,) = rig.journal.rows()
    assert (row.intent, row.handle, row.start_asked) == (Intent.RELEASE, {"name": name}, True)


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_anothers_is_not_looked_at(rig: Rig) -> None:
    rig.registered()
    _container(rig, worker_id="w2")
    rig.reconcile.step()
    assert rig.started == []
    assert rig.backend.removed == []


def test_what_only_carries_our_labels_is_left_alone(rig: Rig) -> None:
    """As a container of an image that somebody committed from one of ours."""
    row = rig.registered().row()
    rig.journal.update(row.key, handle={"name": _container(rig)})
    (ours,) = rig.backend.find({})
    for number, labels in enumerate([ours.labels, {**ours.labels, Label.ATTEMPT: "x"}, _without_run(ours)]):
        rig.backend.create(Spec(name=f"debug-{number}", image="op", run_dir=Path("/nowhere"), labels=labels))
    rig.reconcile.step()
    rig.end(row)
    rig.clock.turn(60)
    rig.reconcile.step()
    assert rig.reconcile.status.last_error is None
    assert [started.key for started in rig.started] == [row.key], "none was made of a container"
    assert not any(name.startswith("debug") for name in rig.backend.removed)


def _without_run(found: FoundAttempt) -> dict[str, str]:
    return {name: value for name, value in found.labels.items() if name != Label.RUN}


def test_what_a_killed_process_without_a_journal_left_is_removed(rig: Rig) -> None:
    rig.registered()
    alive = Owner.this_process()
    gone = alive._replace(since=alive.since + 1)
    for run_id, more in {
        "gone": {Label.OWNER: str(gone)},
        "alive": {Label.OWNER: str(alive)},
        "unknown": {},
        "served": {Label.OWNER: str(gone), Label.SERVER: "s"},
    }.items():
        labels: dict[str, str] = {
            Label.WORKER: "w1",
            Label.INSTANCE: "own",
            Label.RUN: run_id,
            Label.ATTEMPT: "1",
            Label.LEASE: "l1",
        }
        spec = Spec(name=f"gyoza-{run_id}-1-l1", image="op", run_dir=Path("/nowhere"), labels=labels | more)
        rig.backend.known["op"] = FakeOp(ends_at_once=False)
        rig.backend.start(rig.backend.create(spec))
    rig.reconcile.step()
    assert rig.backend.removed == ["gyoza-gone-1-l1"]


def test_the_engine_is_compared_once_a_minute(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []

    def find(labels: object) -> list[FoundAttempt]:
        looks.append(labels)
        return []

    monkeypatch.setattr(rig.backend, "find", find)
    for _ in range(25):
        rig.reconcile.step()
        rig.clock.turn(5)
    assert len(looks) == 3


def test_an_engine_in_trouble_ends_no_duty(rig: Rig) -> None:
    rig.registered()
    rig.end(rig.row())
    rig.deliver_for(1)
    name = _container(rig)
    rig.backend.fail["find"] = BackendUnavailable("restarting")
    rig.reconcile.step()
    assert rig.reconcile.status.last_ok is not None
    assert _said(rig, "restarting")
    assert rig.backend.removed == []
    rig.clock.turn(5)
    rig.reconcile.step()
    assert rig.backend.removed == [name], "looked at again before the minute is over"


def _said(rig: Rig, words: str) -> list[str]:
    return [notice.text for notice in rig.parts.notices.recent() if words in notice.text]


@pytest.mark.parametrize("call", ["stop", "remove"])
def test_one_attempt_that_cannot_be_swept_hides_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    names = []
    for run_id in ("r1", "r2", "r3"):
        rig.end(rig.registered().row(run_id))
        rig.deliver_for(1)
        names.append(_container(rig, run_id))
    working = getattr(rig.backend, call)

    def torn(handle: dict[str, Any], *more: Any) -> None:
        if handle["name"] == names[0]:
            raise KeyError("started")
        working(handle, *more)

    monkeypatch.setattr(rig.backend, call, torn)
    for _ in range(2):
        rig.reconcile.step()
        rig.clock.turn(60)
    assert rig.backend.removed == names[1:]
    assert rig.reconcile.status.last_error is None
    assert len(_said(rig, f"{names[0]} is left on docker")) == 1
    fault = next(notice for notice in rig.parts.notices.recent() if "failed unexpectedly" in notice.text)
    assert "in torn" in fault.fields["traceback"]
    monkeypatch.undo()
    rig.clock.turn(60)
    rig.reconcile.step()
    assert rig.backend.removed == [*names[1:], names[0]]


def test_an_attempt_that_cannot_be_read_is_known_by_its_name(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work = rig.registered().row("r1")
    rig.journal.update(at_work.key, handle={"name": _container(rig, "r1")})
    rig.end(rig.row("r2"))
    rig.deliver_for(1)
    ended, unknown = _container(rig, "r2"), _container(rig, "r3")
    good = rig.backend.find({})
    torn = [found._replace(labels={}, trouble="spec.json is empty") for found in good]
    monkeypatch.setattr(rig.backend, "find", lambda _labels: torn)
    for _ in range(2):
        rig.reconcile.step()
        rig.clock.turn(60)
    assert rig.backend.removed == [ended]
    assert [row.key for row in rig.started] == [at_work.key], "nothing is made of one whose run is not known"
    assert len(_said(rig, f"{unknown} on docker is left as it is: spec.json is empty")) == 1


def test_a_backend_that_faults_stops_no_claim_and_no_beat(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(*_arguments: object) -> None:
        raise KeyError("torn")

    rig.registered()
    for method in ("refuses", "ops", "disks", "close"):
        monkeypatch.setattr(rig.backend, method, torn)
    assert "KeyError: 'torn'" in str(rig.parts.admission.refusal(OpRun(id="r1", image="op"), []))
    assert (rig.parts.pool.ops, rig.parts.pool.disks) == ([], [])
    rig.parts.pool.close()
    monkeypatch.setattr(rig.backend, "check", torn)
    rig.reconcile.step()
    assert rig.reconcile.status.last_error is None
    assert rig.parts.pool.available == []


def test_directories_of_no_run_are_removed(rig: Rig) -> None:
    row = rig.registered().row()
    rig.parts.state_dir.make_run_dir(row.name)
    rig.parts.state_dir.make_run_dir("gyoza-gone-1-l")
    rig.reconcile.step()
    assert rig.parts.state_dir.run_dirs() == [row.name]


# A server whose replies say nothing of runs


@pytest.fixture
def minimal(rig: Rig, scripted: ScriptedServer) -> Rig:
    scripted.defaults["beat"] = Reply({})
    return rig.registered()


def _run(**fields: Any) -> Reply:
    return Reply({"id": "r1", "image": "op", "state": "RUNNING", "current_attempt": 1, "worker_id": "w1"} | fields)


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        (_run(), Intent.NONE),
        (_run(worker_id=None), Intent.NONE),
        (_run(state="CANCELLED"), Intent.CANCEL),
        (_run(current_attempt=2), Intent.LOST),
        (_run(worker_id="w2"), Intent.LOST),
        (refusal(404, "run_unknown"), Intent.NONE),
        (refusal(404), Intent.NONE),
        (refusal(500), Intent.NONE),
    ],
)
def test_it_is_asked_for_each_run(minimal: Rig, scripted: ScriptedServer, said: Reply, intent: Intent) -> None:
    row = minimal.row(server_id="")
    scripted.defaults["get"] = said
    minimal.reconcile.step()
    assert minimal.now(row).intent is intent
    (request,) = scripted.of("get")
    assert (request.path, request.query) == ("/runs/r1", {"events": "0"})


def test_an_unknown_run_that_did_not_start_is_closed(minimal: Rig, scripted: ScriptedServer) -> None:
    row = minimal.row(server_id="", started=False)
    scripted.defaults["get"] = refusal(404, "run_unknown")
    minimal.reconcile.step()
    assert minimal.now(row).intent is Intent.LOST


def test_one_runs_trouble_hides_no_cancel_of_the_next(minimal: Rig, scripted: ScriptedServer) -> None:
    minimal.row("bad", server_id="")
    good = minimal.row("good", server_id="")

    def answer(request: Request) -> Reply:
        return refusal(500) if "bad" in request.path else _run(id="good", state="CANCELLED")

    scripted.defaults["get"] = answer
    minimal.reconcile.step()
    assert minimal.now(good).intent is Intent.CANCEL
    assert minimal.now(good).by_server


def test_it_is_asked_each_heartbeat(minimal: Rig, scripted: ScriptedServer) -> None:
    minimal.row(server_id="")
    scripted.defaults["get"] = _run()
    assert minimal.reconcile.step() - minimal.clock.boot() == pytest.approx(5, abs=0.1)


def test_a_server_that_judges_by_itself_is_not_asked(rig: Rig, scripted: ScriptedServer) -> None:
    rig.registered().row()
    rig.reconcile.step()
    assert scripted.of("get") == []


def test_what_is_paused_from_outside_is_shown_until_it_goes_on(rig: Rig) -> None:
    row = rig.registered().row()
    name = _container(rig)
    rig.journal.update(row.key, handle={"name": name}, started_at=5.0)
    rig.backend.paused.add(name)
    rig.clock.turn(3)
    rig.reconcile.step()
    since = rig.clock.utc().timestamp()
    rig.clock.turn(3)
    rig.reconcile.step()
    assert rig.now(row).frozen_since == since
    assert view_of(rig.now(row)).phase is Phase.FROZEN
    assert rig.said().count("was paused from outside") == 1
    rig.backend.paused.clear()
    rig.reconcile.step()
    assert view_of(rig.now(row)).phase is Phase.RUNNING
    assert rig.said().count("goes on") == 1


def test_another_engine_does_not_know_what_is_paused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    row = rig.registered().row()
    rig.journal.update(row.key, started_at=1.0, frozen_since=2.0)
    monkeypatch.setattr(rig.worker.slots, "is_held", lambda _key: True)
    rig.reconcile.step()
    assert rig.now(row).frozen_since == 2.0
    assert "goes on" not in rig.said()


def test_an_engine_that_does_not_say_what_is_paused_changes_nothing(rig: Rig) -> None:
    row = rig.registered().row()
    rig.journal.update(row.key, handle={"name": _container(rig)}, started_at=5.0, frozen_since=6.0)
    rig.backend.fail["frozen"] = BackendUnavailable("away")
    rig.reconcile.step()
    assert rig.now(row).frozen_since == 6.0
