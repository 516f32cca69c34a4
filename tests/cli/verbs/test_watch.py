"""`watch`: the ends of runs, one after another, with a bell."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import Ended, OpRun
from gyoza_tui.models.states import RunState
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.cli.verbs.test_submit import OnTerminal
from tests.commands import Started
from tests.server.process import server_process
from tests.servers import ServerThread
from tests.waiting import until


@pytest.fixture
def meanwhile(served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Have something happen while the verb waits for ends for the first time."""
    real, happenings, begun = GyozaClient.ended, list[threading.Thread](), list[threading.Thread]()

    def ended(client: GyozaClient, request: object) -> Ended:
        if happenings:
            begun.append(happenings.pop())
            begun[-1].start()
        return real(client, request)  # type: ignore[arg-type]

    monkeypatch.setattr(GyozaClient, "ended", ended)
    yield lambda happening: happenings.append(threading.Thread(target=happening))
    for thread in begun:
        thread.join(20)


def test_each_run_is_printed_once_when_it_has_ended(
    verb: Verb, served: ServerThread, meanwhile: Callable[[Callable[[], None]], None]
) -> None:
    actor = Actor(served.client)
    actor.complete("done")
    slow, quick = actor.start("slow"), actor.start("quick")

    def end() -> None:
        actor.say(quick, "COMPLETED", None, {})
        actor.say(slow, "COMPLETED", None, {})

    meanwhile(end)
    said = verb("watch", "slow", "quick", "done", "slo")
    assert said.code == 0, said.err
    assert [line.split()[:2] for line in said.out.splitlines()] == [
        ["done", "COMPLETED"], ["quick", "COMPLETED"], ["slow", "COMPLETED"]
    ]  # fmt: skip
    assert said.out.splitlines()[0].endswith(" busybox")
    assert said.err == ""


def test_what_is_not_completed_is_exit_code_1_with_why(verb: Verb, served: ServerThread) -> None:
    actor = Actor(served.client)
    actor.complete("good", {"n": 1})
    actor.fail("bad")
    served.client.create_run("busybox", id="gone", tags=["nowhere"])
    served.client.update_run("gone", state=RunState.CANCELLED)
    said = verb("watch", "good", "bad", "gone", "--json")
    assert said.code == 1
    ends = [json.loads(line) for line in said.out.splitlines()]
    assert [(run["id"], run["state"]) for run in ends] == [
        ("good", "COMPLETED"), ("bad", "FAILED"), ("gone", "CANCELLED")
    ]  # fmt: skip
    assert ends[0]["outputs"] == {"n": 1}
    assert "bad is FAILED: op_error, exit 3: no good" in said.err
    assert "| the last line" in said.err
    assert "gone is CANCELLED" in said.err


def test_a_run_that_is_retried_before_it_is_looked_at_is_waited_for_again(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(served.client)
    actor.start("again")
    served.client.update_run("again", state=RunState.CANCELLED)
    real, looks = GyozaClient.get_run, iter(range(100))

    def get_run(client: GyozaClient, run_id: str, *, events: bool = True) -> OpRun:
        match next(looks):
            case 0:
                return real(client, run_id, events=events).model_copy(update={"state": RunState.RUNNING})
            case 1:
                client.update_run(run_id, state=RunState.PENDING)
            case 2:
                client.update_run(run_id, state=RunState.CANCELLED)
        return real(client, run_id, events=events)

    monkeypatch.setattr(GyozaClient, "get_run", get_run)
    said = verb("watch", "again")
    assert said.out.count("again CANCELLED") == 1


def test_no_such_run(verb: Verb, served: ServerThread) -> None:
    said = verb("watch", "nothing")
    assert (said.code, said.out) == (1, "")
    assert "no run's id begins with nothing" in said.err
    assert verb("watch").code == 2


def test_interrupted_is_130(verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Ended:
        raise KeyboardInterrupt

    served.client.create_run("busybox", id="long")
    monkeypatch.setattr(GyozaClient, "ended", interrupted)
    said = verb("watch", "long")
    assert said.code == 130
    assert "no longer waiting; long goes on" in said.err


def test_a_server_that_is_killed_and_started_again_is_waited_for(clean_environment: Path) -> None:
    database = clean_environment / "server.db"
    with server_process(database) as first:
        client = GyozaClient(first.url)
        for run_id in ("before", "after"):
            client.create_run("busybox", id=run_id)
        client.update_run("before", state=RunState.CANCELLED)
        arguments = ("watch", "before", "after", "--server", first.url)
        with Started(clean_environment, *arguments, name="watch") as watch:
            until(lambda: "before CANCELLED" in watch.said, "it waits for the other run")
            first.kill()
            until(lambda: "the server does not answer" in watch.said, "it waits for the server")
            port = first.url.rpartition(":")[2]
            with server_process(database, f', "port": {port}'):
                client.update_run("after", state=RunState.CANCELLED)
                assert watch.process.wait(30) == 1
        client.close()
    ends = [line.split()[:2] for line in watch.out.read_text().splitlines()]
    assert ends == [["before", "CANCELLED"], ["after", "CANCELLED"]]


def test_the_bell_of_a_terminal_rings_at_each_end_that_was_waited_for(
    served: ServerThread, clean_environment: Path
) -> None:
    actor = Actor(served.client)
    actor.complete("before")
    first, second = actor.start("first"), actor.start("second")
    command = OnTerminal(clean_environment, served, "watch", "before", "first", "second")
    until(lambda: "of 3 ended" in command.shown, "it waits")
    assert "\a" not in command.shown
    actor.say(first, "COMPLETED", None, {})
    until(lambda: command.shown.count("\a") == 1, "it rings")
    actor.say(second, "COMPLETED", None, {})
    code, lines = command.ended()
    assert (code, command.shown.count("\a")) == (0, 2)
    assert [line.split()[0] for line in lines] == ["before", "first", "second"]
