"""Waiting for ends: at our server, at one without the endpoint, and what each request costs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION
from typing import Any

import httpx
import pytest

from gyoza_tui.client import GyozaClient, ends
from gyoza_tui.client.ends import PendingRuns
from gyoza_tui.models.runs import Ended, EndedRequest, EndedRun
from gyoza_tui.models.states import RunState
from tests.cli.stage import Actor
from tests.client.scripted import ScriptedServer, answer
from tests.servers import KEY, ServerThread

DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    with ServerThread(tmp_path_factory.mktemp("ends") / "server.db") as server:
        yield server


class Meanwhile:
    """Calls one thing after another in a thread, each when `step` is."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=lambda: [step() for step in steps])

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(DEADLINE_S)


def states(found: list[EndedRun]) -> dict[str, RunState]:
    return {run.id: run.state for run in found}


class TestAtOurServer:
    def test_all(self, served: ServerThread) -> None:
        actor = Actor(served.client)
        first, second = actor.start("all1"), actor.start("all2")
        with Meanwhile(lambda: actor.say(second, "FAILED"), lambda: actor.say(first, "COMPLETED", None, {})):
            done, not_done = served.client.wait(["all1", "all2"], DEADLINE_S)
        assert states(done) == {"all2": RunState.FAILED, "all1": RunState.COMPLETED}
        assert not_done == []

    def test_the_first(self, served: ServerThread) -> None:
        actor = Actor(served.client)
        actor.start("first1")
        second = actor.start("first2")
        with Meanwhile(lambda: actor.say(second, "COMPLETED", None, {})):
            done, not_done = served.client.wait(["first1", "first2"], DEADLINE_S, FIRST_COMPLETED)
        assert (states(done), not_done) == ({"first2": RunState.COMPLETED}, ["first1"])

    def test_the_first_that_is_not_completed(self, served: ServerThread) -> None:
        actor = Actor(served.client)
        for name in ("good", "bad", "long"):
            served.client.create_run("nothing", id=name)
        good = actor.claim("good")
        actor.say(good, "STARTED")
        actor.say(good, "COMPLETED", None, {})
        with Meanwhile(lambda: served.client.update_run("bad", state=RunState.CANCELLED)):
            done, not_done = served.client.wait(["good", "bad", "long"], DEADLINE_S, FIRST_EXCEPTION)
        assert states(done) == {"good": RunState.COMPLETED, "bad": RunState.CANCELLED}
        assert not_done == ["long"]

    def test_the_time_is_over(self, served: ServerThread) -> None:
        served.client.create_run("nothing", id="never")
        begin = time.monotonic()
        assert served.client.wait(["never", "unknown"], 0.3) == ([], ["never", "unknown"])
        assert 0.3 <= time.monotonic() - begin < 5
        assert served.client.wait(["never"], 0).not_done == ["never"]
        assert served.client.wait([]) == ([], [])

    def test_no_answer_is_late_while_the_server_waits(self, served: ServerThread) -> None:
        served.client.create_run("nothing", id="never-either")
        with GyozaClient(served.url, KEY, timeout=0.5) as client:
            assert client.wait(["never-either"], 1).not_done == ["never-either"]

    def test_another_word_for_when_is_refused(self, served: ServerThread) -> None:
        with pytest.raises(ValueError, match="FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, not 'ANY'"):
            served.client.wait(["never"], 0, "ANY")


def http(body: Any, status: str = "200 OK") -> list[bytes]:
    return [answer(json.dumps(body).encode(), status)]


class OtherServer:
    """Knows `GET /runs/{id}` alone; a run has ended at the look of that number."""

    def __init__(self, ends_at: dict[str, int], status: str) -> None:
        self._left = ends_at
        self._status = status
        self.asked_for_ends = 0

    def __call__(self, request: bytes) -> list[bytes]:
        method, path, *_ = request.split(b" ")
        if method == b"POST":
            self.asked_for_ends += 1
            return http({"detail": "Not Found"}, self._status)
        run_id = path.split(b"/")[-1].partition(b"?")[0].decode()
        if run_id not in self._left:
            return http({"detail": "no such run"}, "404 Not Found")
        self._left[run_id] -= 1
        state = "RUNNING" if self._left[run_id] > 0 else "COMPLETED"
        return http({"id": run_id, "image": "x", "state": state})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nothing sleeps; how long each would have."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed"])
def test_where_ends_are_not_reported_each_run_is_looked_at(quick: list[float], status: str) -> None:
    script = OtherServer({"a": 30, "b": 1}, status)
    with ScriptedServer(script) as server, GyozaClient(server.url) as client:
        done, not_done = client.wait(["a", "b"])
    assert ([run.id for run in done], not_done) == (["b", "a"], [])
    assert script.asked_for_ends == 1
    pauses = [pause for pause in quick if pause]
    assert pauses[0] == pytest.approx(0.1)
    assert max(pauses) == pauses[-1] == ends.POLL_MAX_S


def test_a_run_that_such_a_server_does_not_know_is_an_error(quick: list[float]) -> None:
    script = OtherServer({}, "404 Not Found")
    with ScriptedServer(script) as server, GyozaClient(server.url) as client, pytest.raises(httpx.HTTPStatusError):
        client.wait(["a"])


def test_a_refusal_is_no_missing_endpoint() -> None:
    with ScriptedServer(lambda _: http({"detail": "no", "code": "role"}, "403 Forbidden")) as server:
        client = GyozaClient(server.url)
        with pytest.raises(httpx.HTTPStatusError):
            client.wait(["a"])
        client.close()


class FakeServer:
    """Reports the ends of one request after another, and notes what was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.requests: list[EndedRequest] = []

    def ended(self, request: EndedRequest) -> Ended:
        self.requests.append(request)
        found = self._answers.pop(0) if self._answers else []
        return Ended(runs=[EndedRun(id=each, state=RunState.COMPLETED) for each in found])


def pending(server: Any, *run_ids: str) -> PendingRuns:
    return PendingRuns(server, run_ids)


def test_early_empty_answers_are_not_repeated_at_once(quick: list[float]) -> None:
    runs = pending(FakeServer(), "a")
    assert runs.next_ends(5) == []
    assert quick == [ends.POLL_MIN_S]


def test_more_runs_than_a_request_names_take_turns(quick: list[float]) -> None:
    names = [f"r{number}" for number in range(1500)]
    server = FakeServer([], ["r1200"])
    runs = pending(server, *names)
    assert runs.next_ends(30) == []
    assert [end.id for end in runs.next_ends(30)] == ["r1200"]
    assert server.requests[0].ids == names[:1000]
    assert server.requests[1].ids == names[1000:] + names[:500]
    assert [request.wait_s for request in server.requests] == [1, 1]
    assert quick[-1] > 0, "more ends may gather"
    assert len(runs.left) == 1499


def test_what_was_not_asked_for_is_no_end(quick: list[float]) -> None:
    runs = pending(FakeServer(["other"], ["a", "a"]), "a")
    assert runs.next_ends(0) == []
    assert [end.id for end in runs.next_ends(0)] == ["a"]
    assert runs.left == []


def test_a_run_that_runs_again_is_waited_for_again(quick: list[float]) -> None:
    runs = pending(FakeServer(["a"], ["a"]), "a")
    assert len(runs.next_ends(0)) == 1
    runs.wait_again("a")
    assert len(runs.next_ends(0)) == 1


def test_no_request_waits_longer_than_a_server_lets_it() -> None:
    server = FakeServer(["a"])
    pending(server, "a").next_ends(1000)
    assert server.requests[0].wait_s == 30
