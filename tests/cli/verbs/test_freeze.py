"""`freeze` and `thaw`: what the server is asked for, and of which runs."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime

import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import RunVerdict
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.servers import ServerThread


@pytest.fixture
def actor(served: ServerThread) -> Actor:
    return Actor(served.client, features=["freeze"])


def wanted(actor: Actor, run: OpRun) -> RunVerdict:
    """What a beat that lists the run is answered."""
    listed = [{"id": run.id, "attempt": run.attempt, "lease": run.lease}]
    reply = actor.client.heartbeat(worker_id=actor.name, features=["freeze"], running_ops=listed)
    assert reply.runs is not None
    return reply.runs[run.id]


def test_one_that_is_named_is_frozen_and_thawed_at_once(verb: Verb, actor: Actor) -> None:
    run = actor.start("a1")
    assert verb("freeze", "a").out == "a1 worker actor is to freeze it\n"
    said = wanted(actor, run)
    assert (said.want, said.want_by) == ("frozen", getpass.getuser())
    assert json.loads(verb("freeze", "a", "--json").out)["id"] == "a1"
    assert verb("thaw", "a").out == "a1 worker actor is to thaw it\n"
    said = wanted(actor, run)
    assert (said.want, said.want_by) == (None, None)


def test_one_that_is_frozen_is_frozen_already(verb: Verb, actor: Actor) -> None:
    run = actor.start("a1")
    listed = [{"id": run.id, "attempt": run.attempt, "lease": run.lease, "frozen": datetime.now(UTC).isoformat()}]
    actor.client.heartbeat(worker_id=actor.name, features=["freeze"], running_ops=listed)
    assert verb("freeze", "a").out == "a1 is frozen already\n"
    assert verb("thaw", "a").out == "a1 worker actor is to thaw it\n"


def test_a_filter_freezes_what_is_at_work_alone(verb: Verb, actor: Actor) -> None:
    runs = [actor.start("a1"), actor.start("a2")]
    actor.take("a3")
    said = verb("freeze", "op:busybox", "--yes")
    assert (said.code, said.err) == (0, "")
    assert sorted(line.split()[0] for line in said.out.splitlines()) == ["a1", "a2"]
    assert [wanted(actor, run).want for run in runs] == ["frozen", "frozen"]


def test_what_is_not_at_work_is_refused_in_words(verb: Verb, actor: Actor) -> None:
    actor.take("a1")
    for name in ("freeze", "thaw"):
        said = verb(name, "a1")
        assert said.code == 1
        assert "a1 is ASSIGNED: only what is RUNNING can be frozen or thawed" in said.err


def test_a_worker_that_knows_no_freezing_is_named(verb: Verb, served: ServerThread) -> None:
    Actor(served.client).start("a1")
    said = verb("freeze", "a1")
    assert said.code == 1
    assert "worker actor" in said.err
