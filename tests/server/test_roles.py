"""Which key may do what; and that leases, instance ids and secrets are in claim answers only."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from gyoza_tui.models.states import RunState
from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.keys import Keys
from gyoza_tui.server.limits import HEALTH
from gyoza_tui.server.roles import MAY, ROUTES, Act, Role
from tests.server.cluster import Cluster, cluster

KEYS: Final = {Role.ADMIN: "admin-key", Role.WORK: "work-key", Role.SUBMIT: "submit-key"}
OWN: Final = {"worker_id": "w1", "attempt": 1, "lease": "no-such-lease"}
PARENT: Final = {"run": "some", "attempt": 1, "lease": "no-such-lease"}
REQUESTS: Final[dict[tuple[str, str], dict[Act, list[Any]]]] = {
    ("POST", "/ended"): {Act.READ: [{"ids": ["some"]}]},
    ("POST", "/definitions"): {Act.DEFINE: [{"id": "op", "version": "1", "image": "busybox"}]},
    ("POST", "/definitions/{name}/runs"): {Act.SUBMIT: [{}], Act.SUBMIT_CHILDREN: [{"parent": PARENT}]},
    ("POST", "/runs"): {
        Act.SUBMIT: [{"image": "busybox"}],
        Act.SUBMIT_CHILDREN: [{"image": "busybox", "parent": PARENT}],
    },
    ("PATCH", "/runs/{run_id}"): {
        Act.CANCEL: [{"state": "CANCELLED"}, {"state": "CANCELLED", "reason": "why"}],
        Act.RETRY: [{"state": "PENDING"}, {"state": "PENDING", "reason": "why"}],
        Act.PRIORITIZE: [{"priority": 7}],
        Act.HOLD: [{"held": True}, {"held": False}],
        Act.FREEZE: [{"frozen": True}, {"frozen": False}],
        Act.RELEASE: [{"release": True}],
        Act.REPORT: [
            {"outputs": {}},
            *({"state": "PENDING", name: value} for name, value in OWN.items()),
            *({"state": state} for state in ("ASSIGNED", "RUNNING", "COMPLETED", "FAILED")),
            {"state": "CANCELLED", "lease": "x"},
        ],
    },
    ("POST", "/runs/{run_id}/events"): {Act.REPORT: [{"type": "INFO", "msg": "x"}, [{"type": "INFO", "msg": "x"}]]},
    ("POST", "/workers/heartbeat"): {Act.BEAT: [{"worker_id": "w1"}]},
    ("POST", "/workers/{worker_id}/claim"): {Act.CLAIM: [{"max": 0, "wait_s": 0}]},
    ("PATCH", "/workers/{worker_id}"): {Act.DIRECT: [{"wanted": "paused"}, {"wanted": "claiming", "by": "anna"}]},
    ("DELETE", "/workers/{worker_id}"): {Act.LEAVE: [None]},
}
"""A body for each thing that a route can do; a GET needs none."""


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Cluster]:
    """Its client has the administrator's key."""
    with cluster(tmp_path / "server.db", keys=Keys(KEYS)) as made:
        made.client.headers["X-API-Key"] = KEYS[Role.ADMIN]
        yield made


def _send(keyed: Cluster, role: Role, method: str, path: str, body: Any) -> httpx.Response:
    url = re.sub(r"\{[^}]*\}", "some", path)
    reply: httpx.Response = keyed.client.request(method, url, json=body, headers={"X-API-Key": KEYS[role]})
    return reply


def _requests() -> Iterator[tuple[str, str, Act, Any]]:
    for (method, path), acts in ROUTES.items():
        bodies = {Act.READ: [None]} if method == "GET" else REQUESTS[method, path]
        assert set(bodies) == set(acts), path
        for act, bodies_of_act in bodies.items():
            for body in bodies_of_act:
                yield method, path, act, body


def test_every_route_of_the_server_is_in_the_table(keyed: Cluster) -> None:
    paths = keyed.get("/openapi.json")["paths"]
    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert served == set(ROUTES) | {("GET", HEALTH)}


def test_each_role_on_each_route(keyed: Cluster) -> None:
    """Run by run: what a role may not do is refused with words, everything else reaches its route."""
    refused = set()
    for (method, path, act, body), role in itertools.product(_requests(), Role):
        reply = _send(keyed, role, method, path, body)
        what = (role, method, path, body, reply.text)
        if act in MAY[role]:
            assert reply.status_code not in (401, 403), what
        else:
            refused.add((role, act))
            assert (reply.status_code, reply.json()["code"]) == (403, "role"), what
            assert reply.json()["detail"].startswith(f"a {role} key may not {act}: use a key of the role "), what
    assert refused == {(role, act) for role in Role for act in Act if act not in MAY[role]}


def test_what_the_contract_gives_each_role() -> None:
    """From the contract's words, not from the table."""
    both = {Act.READ, Act.CANCEL, Act.RETRY, Act.FREEZE, Act.SUBMIT_CHILDREN}
    assert MAY[Role.WORK] == both | {Act.BEAT, Act.CLAIM, Act.REPORT, Act.LEAVE}
    assert MAY[Role.SUBMIT] == both | {Act.DEFINE, Act.SUBMIT, Act.PRIORITIZE, Act.HOLD, Act.RELEASE, Act.DIRECT}
    assert MAY[Role.ADMIN] == set(Act)


def test_a_patch_needs_the_right_to_all_that_it_does(keyed: Cluster) -> None:
    run = keyed.submit()
    both = {"state": "CANCELLED", "priority": 9}
    headers = {"X-API-Key": KEYS[Role.WORK]}
    assert keyed.client.patch(f"/runs/{run['id']}", json=both, headers=headers).status_code == 403
    assert keyed.run(run["id"])["priority"] == 5
    assert keyed.state(run) == RunState.PENDING, "nothing half done"


def test_a_submit_key_cannot_give_back_what_a_worker_without_leases_runs(keyed: Cluster) -> None:
    worker = keyed.worker("plain")
    worker.identity = {}
    worker.cluster.client.delete("/workers/plain", params={"instance_id": "instance-of-plain"})
    worker.beat()
    run = keyed.submit()
    (claimed,) = worker.take()
    worker.start(claimed)
    headers = {"X-API-Key": KEYS[Role.SUBMIT]}
    for patch, status in (({"state": "PENDING"}, 400), ({"state": "PENDING", "worker_id": "plain"}, 403)):
        assert keyed.client.patch(f"/runs/{run['id']}", json=patch, headers=headers).status_code == status
    assert keyed.state(run) == RunState.RUNNING


def test_a_wrong_key_is_no_role(keyed: Cluster) -> None:
    for key in ("", "work", "work-key ", "WORK-KEY", "admin-keyadmin-key"):
        assert keyed.client.get("/runs", headers={"X-API-Key": key}).json()["code"] == "unauthorized"


def test_keys_that_cannot_be_used_are_refused_with_words() -> None:
    for keys, words in (
        ({Role.ADMIN: "a", Role.WORK: "same", Role.SUBMIT: "same"}, "the work key and the submit key are the same"),
        ({Role.ADMIN: "same", Role.SUBMIT: "same"}, "the admin key and the submit key are the same"),
        ({Role.ADMIN: "a", Role.WORK: "schlüssel"}, "the work key holds characters"),
        ({Role.ADMIN: "\udcff"}, "the admin key holds characters"),
        ({Role.ADMIN: "key\n"}, "the admin key holds characters"),
        ({Role.WORK: "w"}, "there is a work key but no admin key"),
    ):
        with pytest.raises(ServerError, match=words):
            Keys(keys)


def test_a_single_key_is_the_administrators() -> None:
    assert Keys({Role.ADMIN: "k", Role.WORK: None, Role.SUBMIT: ""}).role_of(b"k") is Role.ADMIN


def test_lease_and_instance_and_secrets_are_in_no_other_answer_than_a_claims(keyed: Cluster) -> None:
    """Every answer of a run's life is looked through, refusals too."""
    answers: list[httpx.Response] = []
    keyed.client.event_hooks["response"].append(answers.append)
    worker = keyed.worker()
    keyed.post("/definitions", {"id": "op", "version": "1", "image": "busybox", "secret_env": {"TOKEN": "hush"}})
    made = keyed.post("/definitions/op/runs", {}, 201)
    run = keyed.submit(secret_env={"TOKEN": "hush"}, event_delivery={"topic": "t"}, may_submit="any")
    first, second = sorted(worker.take(2), key=lambda one: one["id"] != run["id"])
    worker.listed[0]["inputs"] = {"size": "as told by the worker"}
    hidden = [first["lease"], second["lease"], worker.identity["instance_id"], "hush", "as told by the worker"]
    worker.beat()
    worker.start(first)
    worker.report(first, "INFO", msg="hello")
    worker.submit(first)
    worker.submit(first | {"attempt": 2}, 409)
    keyed.patch(run["id"], outputs={"a": 1}, **{name: first[name] for name in ("worker_id", "attempt", "lease")})
    keyed.patch(run["id"], priority=9)
    worker.give_back(second)
    worker.give_back(second)
    worker.report(second, "FAILED", 409, payload={"reason": "op_error", "message": "x"})
    thief = {"worker_id": "w1", "instance_id": "a-stranger", "epoch": 1}
    said = keyed.post("/workers/heartbeat", thief, 409)["detail"]
    assert "held by another process" in said
    keyed.post("/workers/w1/claim", {"max": 1, "wait_s": 0, "instance_id": "a-stranger"}, 409)
    keyed.client.delete("/workers/w1", params={"instance_id": "a-stranger"})
    worker.report(first, "FAILED", payload={"reason": "op_error", "message": "x"})
    keyed.patch(run["id"], state="PENDING")
    keyed.patch(made["id"], state="CANCELLED")
    for path in ("/runs", "/workers", "/definitions"):
        for one in keyed.get(path):
            keyed.get(f"{path}/{one.get('worker_id') if path == '/workers' else one['id']}")
    keyed.get("/topics/t/events")
    assert any(hidden[0] in reply.text for reply in answers), "a claim has it"
    for reply in answers:
        if not reply.request.url.path.endswith("/claim"):
            assert not [word for word in hidden if word in reply.text], (reply.request.url, reply.text)
