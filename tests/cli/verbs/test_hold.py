"""`hold`, `unhold` and `release`: what the server is asked for, and of which runs."""

from __future__ import annotations

import getpass
import json

import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.scripted_server import Reply, ScriptedServer
from tests.servers import ServerThread


@pytest.fixture
def actor(served: ServerThread) -> Actor:
    return Actor(served.client, features=["waiting", "freeze"])


def waits(server: ServerThread, *names: str) -> None:
    for name in names:
        server.client.create_run("busybox", id=name)


def test_one_that_waits_is_held_until_it_is_unheld(verb: Verb, served: ServerThread) -> None:
    waits(served, "a1")
    me = getpass.getuser()
    assert verb("hold", "a").out == f"a1 held by {me}\n"
    assert served.client.get_run("a1").held == me
    row = verb("runs").out.splitlines()[1]
    assert row.split()[:2] == ["HELD", "a1"]
    assert f"held by {me} until the hold is ended" in row
    shown = verb("show", "a1").out
    assert "state    HELD (0%)\n" in shown
    assert f"waits    held by {me} until" in shown
    assert f"a1 is held already, by {me}" in verb("hold", "a1").err
    assert verb("unhold", "a1").out == "a1 PENDING\n"
    assert served.client.get_run("a1").held is None
    assert "a1 is not held" in verb("unhold", "a1").err


def test_many_are_held_and_unheld_by_a_filter(verb: Verb, served: ServerThread, actor: Actor) -> None:
    waits(served, "a1", "a2")
    actor.start("at-work")
    said = verb("hold", "op:busybox", "--yes")
    assert (said.code, [line.split()[0] for line in said.out.splitlines()]) == (0, ["a2", "a1"])
    assert json.loads(verb("runs", "state:held", "--json").out)[0]["id"] == "a2"
    assert json.loads(verb("runs", "--json", "--", "state:pending", "-state:held").out) == []
    assert verb("unhold", "state:held", "--yes").out == "a2 PENDING\na1 PENDING\n"


def test_what_a_worker_has_is_not_held(verb: Verb, actor: Actor) -> None:
    actor.start("a1")
    said = verb("hold", "a1")
    assert (said.code, said.out) == (1, "")
    assert "a1 is RUNNING: only what is PENDING can be held" in said.err


def test_a_server_that_knows_no_holds_holds_nothing(verb: Verb) -> None:
    run = Reply({"id": "a1", "image": "op", "state": "PENDING"})
    with ScriptedServer(get=run, patch=run) as server:
        assert verb("--server", server.url, "hold", "a1").out == "a1 is not held: its server knows no holds\n"


def _wants(actor: Actor, run: OpRun) -> str | None:
    """What a beat that lists the run is answered."""
    listed = [{"id": run.id, "attempt": run.attempt, "lease": run.lease}]
    reply = actor.client.heartbeat(worker_id=actor.name, features=["waiting", "freeze"], running_ops=listed)
    assert reply.runs is not None
    return reply.runs[run.id].want


def test_a_worker_is_asked_to_give_back_what_is_released(verb: Verb, actor: Actor) -> None:
    runs = [actor.start("a1"), actor.take("a2")]
    said = verb("release", "--worker", actor.name, "--yes")
    asked = f"asked {actor.name} to stop it and give it back"
    assert (said.code, said.out) == (0, f"a2 {asked}\na1 {asked}\n")
    assert [_wants(actor, run) for run in runs] == ["release", "release"]
    waiting = actor.client.create_run("busybox", id="b1")
    assert waiting.state is RunState.PENDING
    said = verb("release", "b1")
    assert (said.code, said.out) == (1, "")
    assert "b1 is PENDING: no worker has it" in said.err
