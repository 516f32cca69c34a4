"""What an op may create, and what its children are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.workers import HeartbeatReply
from gyoza_tui.worker.op_channel.child_ids import child_id
from gyoza_tui.worker.op_channel.messages import Refusal, Submit, parse
from gyoza_tui.worker.op_channel.op_channel import NO_SOCKET, SOCKET
from gyoza_tui.worker.op_channel.rights import right_of
from tests.scripted_server import SERVER_ID, Reply, refusal
from tests.waiting import until
from tests.worker.fake_backend import FakeBackend
from tests.worker.op_channel.desk import Desk

TWO = {"a": 1, "b": [2]}


def said(**fields: object) -> Submit:
    return Submit.model_validate({"do": "submit", "what": "embed@1"} | fields)


def test_equal_calls_of_one_parent_have_the_ids_that_they_had_before() -> None:
    assert child_id("parent", said(inputs=TWO)) == "4646f228-0f63-5605-8451-6db995cdef1f"
    assert child_id("parent", said(key="first")) == "1066fb90-7dc6-5764-9016-696ad19ea7e7"
    assert child_id("parent", said(inputs={"b": [2], "a": 1})) == child_id("parent", said(inputs=TWO))
    same_as_nothing = said(inputs=TWO, detach=False, constraints=None, timeout_s=None, nth=0)
    assert child_id("parent", same_as_nothing) == child_id("parent", said(inputs=TWO))
    assert child_id("parent", said(key="k", inputs=TWO)) == child_id("parent", said(key="k"))


def test_what_differs_has_another_id() -> None:
    calls = [
        said(),
        said(inputs=TWO),
        said(inputs=TWO, nth=1),
        said(key="embed"),
        said(what="embed@2"),
        said(timeout_s=5),
        said(constraints={"cpu": 1}),
        said(retry_policy={"max_attempts": 2}),
        said(detach=True),
    ]
    ids = {child_id(parent, call) for call in calls for parent in ("parent", "other")}
    assert len(ids) == 2 * len(calls)


def test_a_definition_is_created_as_a_child_of_the_attempt(desk: Desk) -> None:
    with desk.op() as op:
        greeted = op.ask("hello", version=1)
        made = op.ask("submit", what="embed@1", inputs=TWO, constraints={"cpu": 2}, timeout_s=9, detach=True)
    assert greeted == {"ok": True, "version": 1, "run": "parent", "attempt": 1, "may_submit": "any"}
    assert made == {"ok": True, "id": child_id("parent", _as_sent()), "state": "PENDING"}
    [created] = desk.server.created
    assert created["parent"] == {"run": "parent", "attempt": 1, "lease": "secret-lease"}
    assert (created["path"], created["version"], created["inputs"]) == ("/definitions/embed/runs", "1", TWO)
    assert (created["constraints"], created["timeout_s"], created["detach"]) == ({"cpu": 2}, 9, True)


def _as_sent() -> Submit:
    return said(inputs=TWO, constraints={"cpu": 2}, timeout_s=9, detach=True)


def test_no_answer_holds_the_lease_or_a_key(desk: Desk) -> None:
    desk.client.change_key("secret-key")
    with desk.op() as op:
        op.send("hello")
        for message in ({"what": "embed@1"}, {"what": "no such/@@"}):
            op.send("submit", **message)
        op.send("state", child="nobody")
        answers = "".join(str(op.answer()) for _ in range(4))
    assert "secret" not in answers
    assert "secret" not in str(desk.variables(desk.row(key=2)))


def test_constraints_that_are_none_are_refused(desk: Desk) -> None:
    with desk.op() as op:
        refused = op.ask("submit", what="embed@1", constraints={"cpu": 1, "ram": 99})
    assert refused["words"].startswith(
        "constraints: 'ram' is none of cpu, ram_mb, vram_mb, gpu_id (did you mean ram_mb?)"
    )
    assert desk.server.created == []


def test_images_are_for_those_who_may_create_any_run(desk: Desk) -> None:
    with desk.op(desk.row(MaySubmit.DEFINITIONS)) as op:
        refused = op.ask("submit", what="busybox")
        assert refused["words"] == (
            "'busybox' is an image: this run may submit definitions only, as NAME@VERSION; "
            "may_submit of this run is definitions"
        )
        assert op.ask("submit", what="a/b:1@sha256:" + "0" * 64)["ok"] is False
        assert op.ask("submit", what="embed@")["ok"] is True
    with desk.op(desk.row(MaySubmit.ANY, key=2)) as op:
        assert op.ask("submit", what="busybox")["ok"] is True
    assert [each["path"] for each in desk.server.created] == ["/definitions/embed/runs", "/runs"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"what": "embed@1", "inputs": [1]}, "inputs: Input should be a valid dictionary"),
        ({"what": "embed@1", "inputs": {"a": float("nan")}}, "inputs"),
        ({"what": "embed@1", "timeout_s": -1, "nth": -1}, "timeout_s: "),
        ({"what": "../../workers@1"}, "'../../workers' is not an id"),
        ({"what": "embed@../x"}, "'../x' is not an id"),
        ({"what": "x" * 401}, "what: "),
        ({"what": ""}, "what: "),
        ({"what": "UPPER CASE"}, "UPPER CASE"),
        ({"what": "embed@1", "key": ""}, "key: "),
        ({"what": "embed@1", "constraints": {"cpu": "many"}}, "constraints.cpu: "),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_nothing_is_created(
    message: dict[str, object], words: str, desk: Desk
) -> None:
    with desk.op() as op:
        refused = op.ask("submit", **message)
        assert (refused["ok"], refused["error"]) == (False, "refused")
        assert words in refused["words"]
        assert op.ask("hello")["ok"], "the connection goes on"
    assert desk.server.created == []


def test_all_faults_are_named() -> None:
    with pytest.raises(Refusal) as refusal:
        parse(b'{"do": "submit", "what": "", "nth": -1, "timeout_s": 0}')
    assert [word for word in ("what", "nth", "timeout_s") if word in str(refusal.value)] == ["what", "nth", "timeout_s"]


@pytest.mark.parametrize(
    "reply",
    [
        refusal(400, "inputs", "n is required (int)"),
        refusal(409, "may_submit", "n is required (int)"),
        refusal(404, "definition_unknown", "n is required (int)"),
        refusal(403, "role", "n is required (int)"),
        refusal(413, "limit", "n is required (int)"),
    ],
)
def test_what_the_server_refuses_is_refused(reply: Reply, desk: Desk) -> None:
    desk.server.scripted.script("other", reply)
    with desk.op() as op:
        refused = op.ask("submit", what="embed@1")
    assert (refused["error"], refused["words"]) == ("refused", "n is required (int)")
    assert desk.link.state.trouble is None


def test_a_key_of_another_child_is_named(desk: Desk) -> None:
    desk.server.scripted.script("other", refusal(409, "conflict"), refusal(409, "conflict", "there is a run"))
    with desk.op() as op:
        assert op.ask("submit", what="embed@1", key="first")["words"] == (
            "the key 'first' is that of a child which asked for something else: give this one another key"
        )
        assert op.ask("submit", what="embed@1")["words"] == "there is a run"


@pytest.mark.parametrize(
    "reply",
    [Reply(drop=True), refusal(503), refusal(500), refusal(429), refusal(401, "unauthorized"), Reply(b"<html>")],
)
def test_it_is_repeated_until_the_server_has_it(reply: Reply, desk: Desk) -> None:
    desk.server.scripted.script("other", reply, reply)
    with desk.op() as op:
        op.send("submit", what="embed@1")
        until(lambda: desk.server.scripted.of("other"), "it was asked once")
        desk.clock.turned += 60
        desk.beat()
        until(lambda: len(desk.server.scripted.of("other")) > 1, "it was asked twice")
        desk.clock.turned += 60
        desk.beat()
        assert op.answer()["ok"] is True
    assert len(desk.server.created) == 1


def test_nothing_is_asked_while_the_lease_does_not_hold(desk: Desk) -> None:
    with desk.op() as op:
        desk.clock.turned += 31
        op.send("submit", what="embed@1")
        assert not op.is_answered()
        assert desk.server.scripted.requests == []
        desk.beat()
        assert op.answer()["ok"] is True


def test_nothing_is_asked_of_another_server(desk: Desk) -> None:
    with desk.op() as op:
        desk.link.beaten(HeartbeatReply(server_id="another", protocol=1), desk.clock.boot())
        op.send("submit", what="embed@1")
        assert not op.is_answered()
        desk.link.beaten(HeartbeatReply(server_id=SERVER_ID, protocol=1), desk.clock.boot())
        assert op.answer()["ok"] is True


@pytest.mark.parametrize("run", list(MaySubmit))
@pytest.mark.parametrize("allowed", list(MaySubmit))
@pytest.mark.parametrize("of_op", list(MaySubmit))
def test_the_least_right_counts(run: MaySubmit, allowed: MaySubmit, of_op: MaySubmit) -> None:
    backend = FakeBackend()
    backend.lets_submit = of_op
    right = right_of(OpRun(id="r", image="op", may_submit=run), backend, allowed)
    assert right.may == min(run, allowed, of_op, key=list(MaySubmit).index)
    caps = {"of this run": run, "of op in this worker's list of ops": of_op, "GYOZA_ALLOW_SUBMIT": allowed}
    limits = {name for name, cap in caps.items() if cap is right.may}
    told = right.may is not MaySubmit.ANY and run is not MaySubmit.NO
    assert {name for name in caps if name in right.cap} == (limits if told else set())


def test_a_run_without_the_right_has_no_socket(desk: Desk) -> None:
    row = desk.row(MaySubmit.NO)
    assert desk.variables(row) == {}
    assert list(desk.state_dir.run_dir(row.name).iterdir()) == []


def test_a_container_that_cannot_reach_it_is_told_why_there_is_none(desk: Desk) -> None:
    desk.backend.shares_op_dir = False
    words = "this worker's containers cannot reach its socket: it needs docker_io=bind"
    assert desk.variables(desk.row()) == {NO_SOCKET: f"this run may create no runs: {words}"}


def test_the_owner_may_forbid_it(tmp_path: Path) -> None:
    with Desk(tmp_path, allowed=MaySubmit.NO) as desk:
        assert "GYOZA_ALLOW_SUBMIT of this worker is no" in desk.variables(desk.row())[NO_SOCKET]


def test_an_op_whose_directory_is_a_link_runs_without_it(desk: Desk, tmp_path: Path) -> None:
    row = desk.row()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    desk.state_dir.run_dir(row.name).symlink_to(elsewhere)
    variables = desk.channel.open(row, desk.state_dir.run_dir(row.name), "/gyoza", desk.backend)
    assert NO_SOCKET in variables
    assert SOCKET not in variables
    assert "there is no socket for its op" in desk.said()
    assert not list(elsewhere.iterdir())
