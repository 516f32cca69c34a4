"""The duty that learns which children have ended: one open request for all parents of this worker."""

from __future__ import annotations

from typing import Any

import pytest

from gyoza_tui.models.runs import Ended
from gyoza_tui.worker.op_channel.op_channel import OpChannel
from tests.scripted_server import SERVER_ID, Reply, refusal
from tests.worker.rig import Rig


class Waited:
    """What takes the part of the channel."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parents = {SERVER_ID: {"p1": 3}, "another": {"p2": 0}}
        self.children = {"p1": frozenset({"c1", "c2"})}
        self.taken: list[tuple[str, Ended]] = []
        channel = rig.parts.op_channel
        monkeypatch.setattr(channel, "waited_for", lambda server: self.parents.get(server, {}))
        monkeypatch.setattr(channel, "pending", lambda server, then: then(self.children))
        monkeypatch.setattr(channel, "take_ends", lambda server, ended: self.taken.append((server, ended)))


@pytest.fixture
def waited(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Waited:
    return Waited(rig, monkeypatch)


def step(rig: Rig) -> float:
    """Seconds until the next tick."""
    wait: float = rig.parts.children.step() - rig.clock.boot()
    return wait


def asked(rig: Rig) -> list[Any]:
    return [each.body for each in rig.server.of("other") if each.path == "/ended"]


def test_nothing_is_asked_while_nothing_waits_or_no_server_answers(rig: Rig, waited: Waited) -> None:
    assert step(rig) > 1
    rig.registered()
    waited.parents = {"another": {"p2": 0}}
    assert step(rig) > 1
    assert rig.server.of("other") == []


def test_all_that_wait_at_this_server_are_asked_for_at_once(rig: Rig, waited: Waited) -> None:
    rig.registered()
    rig.server.script(
        "other", Reply({"runs": [{"id": "c", "state": "FAILED", "parent_id": "p1"}], "parents": {"p1": 4}})
    )
    assert step(rig) == 0
    [body] = asked(rig)
    assert (body["parents"], body["worker_id"], body["wait_s"]) == ({"p1": 3}, "w1", 10)
    [(server, ended)] = waited.taken
    assert (server, ended.parents, [run.id for run in ended.runs]) == (SERVER_ID, {"p1": 4}, ["c"])


def test_a_server_that_is_away_is_asked_again_later(rig: Rig, waited: Waited) -> None:
    rig.registered()
    rig.server.script("other", refusal(503))
    assert step(rig) > 0
    assert rig.link.state.trouble is not None
    assert step(rig) > 0
    assert len(asked(rig)) == 1, "not before its time"
    rig.clock.turn(60)
    rig.server.script("other", Reply({"runs": [], "parents": {"p1": 3}}))
    assert step(rig) == 0
    assert rig.link.state.trouble is None


def test_where_no_ends_are_reported_each_child_is_asked_for(rig: Rig, waited: Waited) -> None:
    rig.registered()
    rig.server.script(
        "get", Reply({"id": "c1", "image": "op", "state": "COMPLETED"}), Reply({"id": "c2", "image": "op"})
    )
    assert step(rig) == 2
    [(_, ended)] = waited.taken
    assert [(run.id, run.state, run.parent_id) for run in ended.runs] == [("c1", "COMPLETED", "p1")]
    assert rig.link.state.trouble is None


def test_new_parents_wake_it(rig: Rig) -> None:
    assert isinstance(rig.parts.op_channel, OpChannel)
    assert rig.parts.children._wake is rig.parts.wakes.children
