"""`events`: a topic's feed, followed by cursor."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from pydantic import TypeAdapter

from gyoza_tui.client import GyozaClient, Page
from gyoza_tui.models.runs import TopicEvent
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.commands import Started, installed
from tests.servers import KEY, ServerThread
from tests.waiting import until

NIGHTLY = {"event_delivery": {"topic": "nightly"}}


def cursor(said: str) -> str:
    (line,) = [line for line in said.splitlines() if line.startswith("cursor: ")]
    return line.removeprefix("cursor: ")


def test_all_events_and_then_those_behind_the_cursor(verb: Verb, served: ServerThread) -> None:
    actor = Actor(served.client)
    actor.complete("abc", {"n": 1}, **NIGHTLY)
    actor.complete("other")
    said = verb("events", "--topic", "nightly")
    assert said.code == 0
    told = [line.split()[2:4] for line in said.out.splitlines()]
    assert told == [["abc", "ASSIGNED"], ["abc", "STARTED"], ["abc", "COMPLETED"]]
    assert all(line.split()[1] == "ago" for line in said.out.splitlines())
    behind = cursor(said.err)
    nothing = verb("events", "--topic", "nightly", "--after", behind)
    assert nothing == (0, "", f"topic nightly has no event behind that cursor\ncursor: {behind}\n")
    actor.fail("def", **NIGHTLY)
    more = verb("events", "--topic", "nightly", "--after", behind, "--utc")
    assert [line.split()[1:3] for line in more.out.splitlines()][1:] == [["def", "STARTED"], ["def", "FAILED"]]
    assert all(line.split()[0].endswith("Z") for line in more.out.splitlines())


def test_json_is_of_the_models_a_line_each(verb: Verb, served: ServerThread) -> None:
    Actor(served.client).complete("abc", {"n": 1}, **NIGHTLY)
    said = verb("events", "--topic", "nightly", "--json")
    events = [TypeAdapter(TopicEvent).validate_json(line) for line in said.out.splitlines()]
    assert [(event.run_id, event.type.value) for event in events] == [
        ("abc", "ASSIGNED"),
        ("abc", "STARTED"),
        ("abc", "COMPLETED"),
    ]
    assert events[-1].payload == {"n": 1}


@pytest.mark.parametrize(("after", "code"), [("!", 1), ("", 2), ("x" * 300, 2)])
def test_what_was_never_a_cursor(verb: Verb, served: ServerThread, after: str, code: int) -> None:
    said = verb("events", "--topic", "nightly", "--after", after)
    assert (said.code, said.out) == (code, "")
    assert "not a cursor" in said.err


def test_a_cursor_of_another_server_is_told_in_words(verb: Verb, served: ServerThread, clean_environment: Path) -> None:
    behind = cursor(verb("events", "--topic", "nightly").err)
    with ServerThread(clean_environment / "another.db") as another:
        said = verb("events", "--topic", "nightly", "--after", behind, "--server", another.url)
    assert (said.code, said.out) == (1, "")
    assert "leave --after out" in said.err


def test_a_topic_without_events(verb: Verb, served: ServerThread) -> None:
    assert verb("events", "-t", "nope").err.startswith("topic nope has no event\n")
    assert verb("events", "-t", "nope", "--json").err.startswith("cursor: ")


def test_a_topic_is_needed(verb: Verb, served: ServerThread) -> None:
    said = verb("events")
    assert said.code == 2
    assert "--topic" in said.err


def test_following_prints_as_it_comes_and_ends_with_the_cursor(served: ServerThread, clean_environment: Path) -> None:
    actor = Actor(served.client)
    env = {"GYOZA_SERVER_URL": served.url, "GYOZA_API_KEY": KEY}
    with Started(clean_environment, "events", "-t", "nightly", "-f", "--json", env=env) as following:
        actor.complete("abc", **NIGHTLY)
        until(lambda: following.out.read_text().count("\n") == 3, "three events")
        actor.complete("def", **NIGHTLY)
        until(lambda: following.out.read_text().count("\n") == 6, "three more")
        following.process.send_signal(signal.SIGINT)
        assert following.process.wait(20) == 130
        ids = [json.loads(line)["run_id"] for line in following.out.read_text().splitlines()]
        assert ids == ["abc"] * 3 + ["def"] * 3
        behind = cursor(following.err.read_text())
    rest: subprocess.CompletedProcess[str] = installed(
        clean_environment, "events", "-t", "nightly", "--after", behind, env=env
    )
    assert (rest.returncode, rest.stdout) == (0, "")


def test_a_topic_without_events_is_followed_past_a_server_that_goes_away(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    real = GyozaClient.topic_events

    def goes_away(client: GyozaClient, topic: str, after: str | None = None, wait_s: float = 0) -> Page:
        waits.append(wait_s)
        if len(waits) == 3:
            raise KeyboardInterrupt
        if wait_s:
            raise httpx.RemoteProtocolError("Server disconnected")
        return real(client, topic, after=after)

    monkeypatch.setattr(GyozaClient, "topic_events", goes_away)
    said = verb("events", "--topic", "nightly", "-f")
    assert "waiting for it" in said.err
    assert "cursor: " in said.err
    assert waits[0] == 0
