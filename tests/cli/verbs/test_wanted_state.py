"""`pause`, `resume` and `drain` at a server, and what `workers` says of the state that is wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gyoza_tui.models.workers import Feature, WantedAnswer, WorkerState
from tests.cli.conftest import Verb
from tests.servers import ServerThread

RESOURCES = {"cpu_cores": 4, "ram_mb": 8192}


@pytest.fixture(autouse=True)
def anna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "anna")


@pytest.fixture
def lab(served: ServerThread) -> ServerThread:
    """A worker, w1."""
    beat(served)
    return served


def beat(served: ServerThread, **more: Any) -> Any:
    reply = served.client.heartbeat(worker_id="w1", resources=RESOURCES, features=list(Feature), **more)
    return None if reply.wanted is None else (reply.wanted.state, reply.wanted.by)


@pytest.mark.parametrize(
    ("typed", "state"),
    [
        (["pause"], WorkerState.PAUSED),
        (["resume"], WorkerState.CLAIMING),
        (["drain"], WorkerState.DRAINING),
    ],
)
def test_each_verb_has_the_server_want_its_state(
    verb: Verb, lab: ServerThread, typed: list[str], state: WorkerState
) -> None:
    said = verb(*typed, "--worker", "w1")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("asked w1 to ")
    assert beat(lab) == (state, "anna")
    wanted = json.loads(verb(*typed, "--worker", "w1", "--json").out)
    assert (wanted["state"], wanted["seq"], wanted["by"]) == (state, 2, "anna")


def test_undo_is_for_a_drain(verb: Verb, lab: ServerThread) -> None:
    said = verb("drain", "--worker", "w1", "--undo")
    assert (said.code, said.out) == (1, "")
    assert "nothing to undo" in said.err
    verb("pause", "--worker", "w1")
    assert verb("drain", "--worker", "w1", "--undo").code == 1
    assert beat(lab) == (WorkerState.PAUSED, "anna"), "a pause is not undone by it"
    verb("drain", "--worker", "w1")
    assert verb("drain", "--worker", "w1", "--undo").code == 0
    assert beat(lab) == (WorkerState.CLAIMING, "anna")


def test_a_worker_that_has_been_drained_is_resumed(verb: Verb, lab: ServerThread) -> None:
    verb("drain", "--worker", "w1")
    lab.client.delete_worker("w1")
    said = verb("drain", "--worker", "w1", "--undo")
    assert "there is no worker w1 now: `resume` has one that was drained claim again" in said.err
    assert beat(lab) == (WorkerState.PAUSED, "anna")
    assert verb("resume", "--worker", "w1").code == 0
    assert beat(lab) == (WorkerState.CLAIMING, "anna")


@pytest.mark.parametrize("name", ["nobody", "..", "a/b", "x\x1b[2J", ""])
def test_a_name_that_no_worker_has(verb: Verb, lab: ServerThread, name: str) -> None:
    for typed in (["pause"], ["resume"], ["drain"], ["drain", "--undo"]):
        said = verb(*typed, "--worker", name)
        assert said.code in (1, 2)
        assert "\x1b" not in said.err
        assert said.out == ""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "wanted paused by anna 0s ago, which it has not heard of"),
        (WantedAnswer.APPLIED, "wanted paused by anna 0s ago"),
        (WantedAnswer.OVERRIDDEN, "wanted paused by anna 0s ago, overridden at the worker"),
    ],
)
def test_workers_says_who_wants_what_and_what_came_of_it(
    verb: Verb, lab: ServerThread, answer: WantedAnswer | None, words: str
) -> None:
    verb("pause", "--worker", "w1")
    beat(lab, wanted=None if answer is None else {"seq": 1, "answer": answer}, state="paused")
    assert _without_age(verb("workers").err) == _without_age(f"w1: {words}\n")
    (line,) = [line for line in verb("workers", "w1").out.splitlines() if line.startswith("wanted ")]
    assert _without_age(line) == _without_age(words.replace("wanted ", "wanted   ", 1))


def test_workers_says_nothing_of_a_wish_to_claim_that_is_fulfilled(verb: Verb, lab: ServerThread) -> None:
    verb("resume", "--worker", "w1")
    beat(lab, wanted={"seq": 1, "answer": "applied"})
    assert verb("workers").err == ""
    beat(lab, wanted={"seq": 1, "answer": "overridden"}, state="paused")
    assert "wanted claiming by anna" in verb("workers").err


def _without_age(text: str) -> str:
    import re

    return re.sub(r"\d+(\.\d+)?s ago", "ago", text)
