"""The children of a run, as the server lists them."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza_tui.worker.view.control import ControlError
from gyoza_tui.worker.view.local_control import LocalControl
from tests.scripted_server import Reply, Request, ScriptedServer, refusal
from tests.worker.rig import Rig


@pytest.fixture
def control(rig: Rig) -> LocalControl:
    return rig.worker.control


def _child(run_id: str, state: str, **more: Any) -> dict[str, Any]:
    return {"id": run_id, "image": "op", "state": state, "parent_id": "r1"} | more


def _lists(*runs: dict[str, Any], cursor: str = "") -> Any:
    """What is at work or failed, where that is asked for; else all."""

    def answer(request: Request) -> Reply:
        assert request.query["parent"] == "r1"
        wanted = request.query.get("filter", "").removeprefix("state:").upper().split(",")
        listed = [run for run in runs if wanted == [""] or run["state"] in wanted]
        return Reply(listed, headers={"X-Next-Cursor": cursor})

    return answer


def test_what_is_at_work_or_failed_comes_first(rig: Rig, control: LocalControl, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    since = "2026-03-14T02:00:00Z"
    scripted.defaults["other"] = _lists(
        _child("done", "COMPLETED", progress=100),
        _child("queued", "PENDING", placement="no worker has enough free"),
        _child("kept", "PENDING", held="anna"),
        _child("failed", "FAILED", execution_summary={"error_message": "exit 3"}, current_attempt=2),
        _child("at_work", "RUNNING", progress=42, worker_id="w2"),
        _child("a_parent", "RUNNING", waiting={"left": 1, "of": 2, "since": since}),
    )
    children = control.children(row.key)
    assert [(child.run_id, child.state) for child in children.runs] == [
        ("at_work", "RUNNING"),
        ("a_parent", "WAITING"),
        ("failed", "FAILED"),
        ("queued", "PENDING"),
        ("kept", "HELD"),
        ("done", "COMPLETED"),
    ]
    assert not children.more
    at_work, _, failed, queued, *_ = children.runs
    assert (at_work.progress, at_work.worker_id) == (42, "w2")
    assert (failed.note, failed.attempt, queued.note) == ("exit 3", 2, "no worker has enough free")


def test_of_ten_thousand_the_ones_at_work_are_listed(rig: Rig, control: LocalControl, scripted: ScriptedServer) -> None:
    row = rig.registered().row()

    def answer(request: Request) -> Reply:
        if "filter" in request.query:
            return Reply([_child("at_work", "RUNNING")])
        newest = [_child(f"c{number}", "PENDING") for number in range(int(request.query["limit"]))]
        return Reply(newest, headers={"X-Next-Cursor": "9900"})

    scripted.defaults["other"] = answer
    children = control.children(row.key)
    assert children.runs[0].run_id == "at_work"
    assert children.more
    assert len(children.runs) == 50


def test_a_server_that_knows_no_parents_lists_none(rig: Rig, control: LocalControl, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    scripted.defaults["other"] = _lists({"id": "another", "image": "op", "state": "RUNNING"})
    assert control.children(row.key).runs == ()


def test_a_server_that_does_not_answer_is_named(rig: Rig, control: LocalControl, scripted: ScriptedServer) -> None:
    row = rig.registered().row()
    scripted.defaults["other"] = refusal(500, "internal", "oh")
    with pytest.raises(ControlError, match="its children are not known: the server says: 500 oh"):
        control.children(row.key)


def test_those_of_a_run_of_another_server_are_not_asked_for(
    rig: Rig, control: LocalControl, scripted: ScriptedServer
) -> None:
    row = rig.registered().row(server_id="another")
    with pytest.raises(ControlError, match="another server answers now"):
        control.children(row.key)
    assert scripted.of("other") == []
