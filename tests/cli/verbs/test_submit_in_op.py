"""`submit` in an op: over the op's socket, whatever server is configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.worker.op_channel.op_channel import SOCKET
from tests.cli.conftest import Verb
from tests.servers import ServerThread
from tests.worker.op_channel.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Its op is this process; what it creates has ended by then, with its inputs as outputs."""
    monkeypatch.setattr("gyoza_tui.op._lines", [])
    with Desk(tmp_path / "worker") as desk:
        desk.server.on_create = lambda request: desk.server.end(request["id"], outputs=request["inputs"])
        monkeypatch.setenv("GYOZA_RUN_ID", "parent")
        monkeypatch.setenv(SOCKET, desk.variables(desk.row())[SOCKET])
        yield desk


def test_the_runs_are_children(verb: Verb, desk: Desk) -> None:
    said = verb("submit", "embed@1", "shard=3", "--count", "3", "--cpu", "2", "--timeout", "1m", "--retry", "1")
    assert said.code == 0, said.err
    assert said.out.split() == [each["id"] for each in desk.server.created]
    created = desk.server.created[0]
    assert (created["inputs"], created["constraints"], created["timeout_s"]) == ({"shard": 3}, {"cpu": 2}, 60)
    assert created["retry_policy"]["max_attempts"] == 2
    assert created["parent"]["run"] == "parent"
    assert len(set(said.out.split())) == 3


def test_waiting_prints_the_outputs(verb: Verb, desk: Desk) -> None:
    said = verb("submit", "embed@1", "shard=3", "--wait")
    child, outputs = said.out.splitlines()
    assert (said.code, child, json.loads(outputs)) == (0, desk.server.created[0]["id"], {"shard": 3})
    said = verb("submit", "embed@1", "shard=4", "--wait", "--json")
    assert json.loads(said.out)["outputs"] == {"shard": 4}
    said = verb("submit", "embed@1", "--json")
    assert json.loads(said.out)["state"] == "COMPLETED"


def test_a_child_that_fails_is_exit_code_1(verb: Verb, desk: Desk) -> None:
    desk.server.on_create = lambda request: desk.server.end(request["id"], "FAILED")
    said = verb("submit", "embed@1", "--wait")
    assert (said.code, "is FAILED" in said.err) == (1, True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--priority", "9"), "has the priority of the op's own run"),
        (("--logs",), "--wait waits for them"),
        (("--env", "A=b", "--", "sh"), "leave out -- COMMAND, --env"),
        (("--may-submit", "any"), "leave out --may-submit"),
    ],
)
def test_what_an_op_cannot_say(flags: tuple[str, ...], words: str, verb: Verb, desk: Desk) -> None:
    said = verb("submit", "embed@1", *flags)
    assert (said.code, words in said.err) == (2, True), said.err
    assert desk.server.created == []


def test_what_is_refused(verb: Verb, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET, desk.variables(desk.row(MaySubmit.DEFINITIONS, key=2))[SOCKET])
    said = verb("submit", "busybox")
    assert (said.code, "may submit definitions only" in said.err) == (1, True)


def test_a_server_that_is_named_is_asked_itself(verb: Verb, desk: Desk, served: ServerThread) -> None:
    said = verb("--server", served.url, "submit", "busybox")
    assert served.client.get_run(said.out.strip()).image == "busybox"
    assert desk.server.created == []


def test_an_op_without_a_socket_is_told_that_it_keeps_its_slot(
    verb: Verb, served: ServerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GYOZA_RUN_ID", "parent")
    said = verb("submit", "busybox")
    assert "this run may not create runs: set may_submit in its definition" in said.err
    assert "keeps its slot" not in said.err
    monkeypatch.setenv("GYOZA_NO_SOCKET", "it needs docker_io=bind")
    monkeypatch.setattr("gyoza_tui.cli.verbs.submit._waited", lambda _at, runs, _manner: runs)
    monkeypatch.setattr("gyoza_tui.cli.verbs.submit._tell_ends", lambda _runs, _json: None)
    told = "it needs docker_io=bind; what it submits is no child of its run, which keeps its slot while it waits"
    assert told in verb("submit", "busybox", "--wait").err


def test_the_right_to_create_runs(verb: Verb, served: ServerThread) -> None:
    said = verb("submit", "busybox", "--may-submit", "any")
    assert served.client.get_run(said.out.strip()).may_submit is MaySubmit.ANY
    assert served.client.get_run(verb("submit", "busybox").out.strip()).may_submit is MaySubmit.NO
    Path("gyoza.yml").write_text('id: train\nversion: "1"\nimage: busybox\nmay_submit: definitions\n')
    assert '+ may_submit: "definitions"' in verb("deploy").out
    assert '+ may_submit: "any"' in verb("deploy", "--may-submit", "any").out
    assert served.client.get_definition("train").may_submit is MaySubmit.ANY
    assert verb("submit", "train@1", "--may-submit", "no").code == 2
    Path("gyoza.yml").write_text('id: train\nversion: "1"\nimage: busybox\nmay_submit: everything\n')
    refused = verb("deploy")
    assert (refused.code, "may_submit" in refused.err) == (2, True)
