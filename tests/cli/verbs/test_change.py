"""`cancel`, `retry`, `priority`: one run at once, many after a question."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import TypeAdapter

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.commands import unread
from tests.servers import ServerThread


@pytest.fixture
def three(served: ServerThread) -> ServerThread:
    for name in ("a1", "a2", "b1"):
        served.client.create_run("busybox" if name != "b1" else "alpine", id=name)
    return served


def states(server: ServerThread) -> dict[str, str]:
    return {run.id: run.state.value for run in server.client.list_runs().items}


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Somebody at the terminal; what is written into it is what they type."""
    typed = Typed()
    monkeypatch.setattr(sys, "stdin", typed)
    return typed


def answers(person: Typed, text: str) -> None:
    person.seek(0)
    person.truncate()
    person.write(text)
    person.seek(0)


def test_one_that_is_named_is_changed_at_once(verb: Verb, three: ServerThread) -> None:
    assert verb("cancel", "b").out == "b1 CANCELLED\n"
    assert verb("retry", "b").out == "b1 PENDING, attempt 2\n"
    assert verb("priority", "b", "9").out == "b1 priority 9\n"
    assert verb("priority", "b", "--", "-3").out == "b1 priority -3\n"
    run = three.client.get_run("b1")
    assert (run.state, run.current_attempt, run.priority) == (RunState.PENDING, 2, -3)


def test_several_without_a_terminal_are_refused(verb: Verb, three: ServerThread) -> None:
    for which, count in (
        (["a1", "a2"], "2 runs"),
        (["op:busybox"], "2 runs"),
        (["--definition", "busybox"], "2 runs"),
        (["run:a1"], "1 run"),
    ):
        said = verb("cancel", *which)
        assert (said.code, said.out) == (2, "")
        assert f"this would cancel {count}: " in said.err
        assert "--yes" in said.err
    assert set(states(three).values()) == {"PENDING"}


def test_several_with_yes(verb: Verb, three: ServerThread) -> None:
    said = verb("cancel", "op:busybox", "--yes")
    assert (said.code, said.err) == (0, "")
    assert said.out == "a2 CANCELLED\na1 CANCELLED\n"
    assert states(three) == {"b1": "PENDING", "a2": "CANCELLED", "a1": "CANCELLED"}
    assert verb("retry", "--state", "cancelled", "-y").out == "a2 PENDING, attempt 2\na1 PENDING, attempt 2\n"
    assert verb("priority", "state:pending", "8", "--yes").out == "b1 priority 8\na2 priority 8\na1 priority 8\n"


def test_a_flag_means_the_whole_name(verb: Verb, three: ServerThread) -> None:
    Actor(three.client, "gpu-10").start("at-work")
    for flags in (["--definition", "busy"], ["--worker", "gpu-1"]):
        assert "no run that it can be done to matches" in verb("cancel", *flags, "--yes").err
    assert verb("cancel", "--worker", "gpu-10", "--yes").out == "at-work CANCELLED\n"
    assert set(states(three).values()) == {"PENDING", "CANCELLED"}


def test_a_person_is_shown_what_would_be_done_and_asked(verb: Verb, three: ServerThread, person: Typed) -> None:
    answers(person, "n\n")
    said = verb("cancel", "a1", "a2")
    assert (said.code, said.out) == (1, "")
    assert "nothing was done" in said.err
    listed = said.err.splitlines()
    assert listed[0].split()[:2] == ["STATE", "RUN"]
    assert [line.split()[1] for line in listed[1:3]] == ["a1", "a2"]
    assert "Cancel 2 runs: 2 PENDING? [y/N]" in said.err
    answers(person, "y\n")
    assert verb("cancel", "a1", "a2").code == 0
    assert states(three) == {"b1": "PENDING", "a2": "CANCELLED", "a1": "CANCELLED"}
    answers(person, "")
    assert verb("cancel", "state:pending").code == 1, "an end of input is no yes"
    assert states(three)["b1"] == "PENDING"


def test_what_can_be_done_is_done_and_the_rest_says_why(verb: Verb, three: ServerThread) -> None:
    three.client.update_run("a1", state=RunState.CANCELLED)
    said = verb("cancel", "a1", "a2", "b1", "--yes")
    assert said.code == 1
    assert said.out == "a2 CANCELLED\nb1 CANCELLED\n"
    assert "a1 is already CANCELLED" in said.err
    assert "1 of 3 runs refused" in said.err


def test_a_filter_leaves_out_what_it_cannot_be_done_to(verb: Verb, three: ServerThread) -> None:
    Actor(three.client).fail("c1")
    assert verb("retry", "--since", "1h", "--yes").out == "c1 PENDING, attempt 2\n"
    said = verb("retry", "--since", "1h", "--yes")
    assert (said.code, said.out) == (0, "")
    assert "no run that it can be done to matches" in said.err


def test_a_run_at_work_is_not_given_back_by_a_retry(verb: Verb, served: ServerThread) -> None:
    Actor(served.client).start("busy")
    said = verb("retry", "busy")
    assert (said.code, said.out) == (1, "")
    assert "busy is RUNNING: only what is FAILED or CANCELLED can be retried" in said.err
    assert served.client.get_run("busy").state is RunState.RUNNING


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cancel"], "name the runs"),
        (["retry", "--yes"], "name the runs"),
        (["priority", "9"], "name the runs"),
        (["priority", "a1"], "N"),
        (["priority", "a1", "1000001"], "N"),
        (["cancel", "a1", "op:busybox"], "either by their ids or by a filter"),
        (["cancel", "--state", "pending", "a1"], "either by their ids or by a filter"),
        (["cancel", "stat:pending"], "did you mean state?"),
        (["cancel", "a/b"], "is not a run's id"),
    ],
)
def test_wrong_usage_is_told_before_a_server_is_asked(verb: Verb, arguments: list[str], words: str) -> None:
    said = verb("--server", "http://127.0.0.1:1", *arguments)
    assert (said.code, said.out) == (2, "")
    assert words in said.err


def test_nothing_is_changed_when_one_of_the_names_is_none(verb: Verb, three: ServerThread) -> None:
    said = verb("cancel", "a1", "zz", "--yes")
    assert said.code == 1
    assert "no run's id begins with zz" in said.err
    assert set(states(three).values()) == {"PENDING"}


def test_json_is_of_the_models(verb: Verb, three: ServerThread) -> None:
    one = OpRun.model_validate_json(verb("cancel", "b1", "--json").out, strict=True)
    assert (one.id, one.state) == ("b1", RunState.CANCELLED)
    several = TypeAdapter(list[OpRun]).validate_json(verb("cancel", "op:busybox", "--yes", "--json").out, strict=True)
    assert [run.id for run in several] == ["a2", "a1"]
    assert json.loads(verb("cancel", "op:busybox", "--yes", "--json").out) == []
    refused = verb("cancel", "b1", "--json")
    assert (refused.code, refused.out) == (1, "")


def test_a_server_that_is_lost_on_the_way_is_told(
    verb: Verb, three: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = GyozaClient.update_run

    def update(client: GyozaClient, run_id: str, **change: object) -> OpRun:
        if run_id == "a1":
            raise httpx.ConnectError("connection refused")
        return real(client, run_id, **change)  # type: ignore[arg-type]

    monkeypatch.setattr(GyozaClient, "update_run", update)
    said = verb("cancel", "op:busybox", "--yes")
    assert said.code == 3
    assert said.out == "a2 CANCELLED\n"
    assert "1 of 2 were done before the server was lost" in said.err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_interruption_tells_how_many_are_done(
    verb: Verb, three: ServerThread, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    real = GyozaClient.update_run

    def update(client: GyozaClient, run_id: str, **change: object) -> OpRun:
        if run_id == "a1":
            raise KeyboardInterrupt
        return real(client, run_id, **change)  # type: ignore[arg-type]

    monkeypatch.setattr(GyozaClient, "update_run", update)
    said = verb("cancel", "state:pending", "--yes", *more)
    assert said.code == 130
    assert said.err == "gyoza-tui: interrupted: 2 of 3 done; `gyoza-tui show a1` tells of the next one\n"
    assert states(three) == {"b1": "CANCELLED", "a2": "CANCELLED", "a1": "PENDING"}


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_all_are_done_also_where_nobody_reads_of_them(
    three: ServerThread, clean_environment: Path, more: tuple[str, ...]
) -> None:
    ended = unread(clean_environment, "cancel", "state:pending", "--yes", *more)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert set(states(three).values()) == {"CANCELLED"}


def test_a_hint_only_for_a_person(verb: Verb, three: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verb("cancel", "a1").err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert verb("cancel", "a2").err == "next: gyoza-tui show a2\n"
    assert verb("retry", "a2").err == "next: gyoza-tui logs -f a2\n"
    assert verb("retry", "a1").err == "next: gyoza-tui logs -f a1\n"
