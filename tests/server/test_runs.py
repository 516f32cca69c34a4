"""Creating, listing and reading runs and definitions; the feed; what is refused at the door."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.limits import EVENT_MAX, JSON_BRACKETS_MAX, MIB, REQUEST_MAX
from gyoza_tui.server import run_list, stored_json
from gyoza_tui.server.routes import answers, examples
from tests.server.cluster import Cluster

DEFINITION = examples.DEFINITION


def test_create_is_idempotent_by_id_and_body(gyoza: Cluster) -> None:
    body = {"id": "mine", "image": "busybox", "inputs": {"n": 1}}
    first = gyoza.post("/runs", body, 201)
    assert gyoza.post("/runs", body, 201)["created_at"] == first["created_at"]
    assert gyoza.post("/runs", body | {"inputs": {"n": 2}}, 409)["code"] == "conflict"
    assert len(gyoza.get("/runs")) == 1


def test_a_run_of_a_definition_inherits_and_is_checked_with_all_faults(gyoza: Cluster) -> None:
    gyoza.post("/definitions", DEFINITION | {"secret_env": {"TOKEN": "s"}})
    path = "/definitions/classify-op/runs"
    run = gyoza.post(path, examples.DEFINITION_RUN | {"id": "r1"}, 201)
    assert run["inputs"] == {"image_path": "/data/photo.jpg", "top_k": 3}
    assert (run["op_definition"], run["op_version"], run["secret_env"]) == ("classify-op", "1.0.0", {"TOKEN": "***"})
    assert run["event_delivery"]["topic"] == "classify-batch"
    fault = gyoza.post(path, {"inputs": {"top_k": True, "more": 1}}, 400)
    assert fault["code"] == "inputs"
    assert all(word in fault["detail"] for word in ("image_path", "top_k", "more"))
    assert gyoza.post("/definitions/nothing/runs", {}, 404)["code"] == "definition_unknown"
    gyoza.post("/definitions", DEFINITION | {"version": "2"})
    assert gyoza.post(path, examples.DEFINITION_RUN | {"id": "r1"}, 201)["op_version"] == "1.0.0"


def test_the_latest_definition_is_the_one_upserted_last(gyoza: Cluster) -> None:
    for version in ("1", "2", "1"):
        gyoza.post("/definitions", DEFINITION | {"version": version, "secret_env": {"A": "secret"}})
    assert gyoza.get("/definitions/classify-op")["version"] == "1"
    assert gyoza.get("/definitions/classify-op", version="2")["secret_env"] == {"A": "***"}
    assert len(gyoza.get("/definitions")) == 2
    assert gyoza.get("/definitions/classify-op", 404, version="3")["code"] == "definition_unknown"


def test_runs_are_listed_newest_first_in_pages(gyoza: Cluster) -> None:
    ids = [gyoza.submit(event_delivery={"topic": "even" if n % 2 == 0 else ""})["id"] for n in range(5)]
    reply = gyoza.client.get("/runs", params={"limit": 2})
    seen = [run["id"] for run in reply.json()]
    while cursor := reply.headers.get("X-Next-Cursor"):
        reply = gyoza.client.get("/runs", params={"limit": 2, "after": cursor})
        seen += [run["id"] for run in reply.json()]
    assert seen == ids[::-1]
    assert [run["id"] for run in gyoza.get("/runs", topic="even")] == ids[::-2]
    assert gyoza.get("/runs", state="RUNNING") == gyoza.get("/runs", worker_id="w9") == []
    assert gyoza.get("/runs", since="2099-01-01T00:00:00Z") == []
    assert gyoza.get("/runs", 400, after="!")["code"] == "cursor"
    assert "events" not in gyoza.get("/runs", limit=1)[0] or gyoza.get("/runs", limit=1)[0]["events"] == []


def test_runs_of_a_worker_are_those_it_has_now(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = gyoza.submit()
    worker.take()
    assert [one["id"] for one in gyoza.get("/runs", worker_id="w1", state="ASSIGNED")] == [run["id"]]


def test_events_0_leaves_the_timelines_out(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    run = gyoza.submit()
    worker.take()
    short = gyoza.get(f"/runs/{run['id']}", events=0)
    assert short["events"] == short["attempts"][0]["events"] == []
    assert short["execution_summary"]["worker_id"] == "w1"


def test_a_feed_is_followed_by_its_cursor_and_woken(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    path = "/topics/batch/events"
    empty = gyoza.client.get(path)
    assert empty.json() == []
    cursor = empty.headers["X-Next-Cursor"]
    later = gyoza.threads.submit(gyoza.client.get, path, params={"after": cursor, "wait_s": 20})
    run = gyoza.submit(event_delivery={"topic": "batch"})
    [claimed] = worker.take()
    first = later.result(15)
    assert [event["type"] for event in first.json()] == ["ASSIGNED"]
    worker.start(claimed)
    worker.report(claimed, "COMPLETED", payload={"label": "cat"})
    rest = gyoza.client.get(path, params={"after": first.headers["X-Next-Cursor"]}).json()
    assert [(event["run_id"], event["attempt"], event["type"]) for event in rest] == [
        (run["id"], 1, "STARTED"),
        (run["id"], 1, "COMPLETED"),
    ]
    assert rest[1]["payload"] == {"label": "cat"}
    assert gyoza.get(path, 400, after="bm90Om91cnM6MQ")["code"] == "cursor"
    other = gyoza.client.get("/runs", params={"limit": 1})
    assert other.status_code == 200


def test_a_cursor_of_other_data_is_gone(gyoza: Cluster) -> None:
    from gyoza_tui.server import cursors

    assert gyoza.get("/topics/t/events", 410, after=cursors.encode("topic", "another", 3))["code"] == "cursor"


def test_placement_says_why_a_run_waits(gyoza: Cluster) -> None:
    def why(**fields: Any) -> str:
        return str(gyoza.run(gyoza.submit(**fields)["id"])["placement"])

    assert "no worker" in why()
    gpus = [{"id": 0, "vram_mb": 16384}]
    gyoza.worker(resources={"cpu_cores": 8, "ram_mb": 8192, "gpus": gpus}, backends=["docker", "local"], ops=["a"])
    assert why(constraints={"vram_mb": 24000}) == "needs vram 24000 MB; the largest GPU known has 16384 MB"
    assert why(constraints={"cpu": 9}) == "needs cpu 9; the largest worker known has 8"
    assert why(constraints={"cpu": 0.5}) == "needs cpu 0.5; no worker known is new enough to give out parts of a core"
    assert "GPU 3" in why(constraints={"gpu_id": 3})
    assert "tagged gold" in why(tags=["gold"])
    assert "local://b" in why(image="local://b")
    assert "backend slurm" in why(image="slurm://x")
    assert why(image="local://a") == "None"


def test_placement_names_a_machine_in_trouble(gyoza: Cluster) -> None:
    gyoza.worker("w2")
    gyoza.worker(
        backends=["docker"],
        trouble={"local": "no process can be started", "GPU 0": "driver not loaded", "GPU 1": "fell off the bus"},
    )

    def why(**fields: Any) -> str:
        return str(gyoza.run(gyoza.submit(**fields)["id"])["placement"])

    local = "needs a worker with the backend local; worker w1 cannot use its local now (no process can be started)"
    assert why(image="local://a") == local
    assert why(constraints={"gpu_id": 1}) == "needs GPU 1; worker w1 cannot use its GPU 1 now (fell off the bus)"
    both = "worker w1 cannot use its GPU 0 now (driver not loaded); worker w1 cannot use its GPU 1 now"
    assert both in why(constraints={"vram_mb": 100})
    assert gyoza.get("/workers/w1")["trouble"]["GPU 0"] == "driver not loaded"


BAD_BODIES = [
    b'{"image":"busybox","inputs":{"a":NaN}}',
    b'{"image":"busybox","inputs":{"a":-Infinity}}',
    b'{"image":"busybox","inputs":{"a":1e999}}',
    b'{"image":"busybox","inputs":{"a":"\\ud800"}}',
    b'{"image":"busybox","inputs":{"\\udfff":1}}',
    b'{"image":"busybox","event_delivery":{"attributes":{"a":"\\ud800"}}}',
    b'{"image":"busybox","inputs":{"a":' + b"[" * 70 + b"]" * 70 + b"}}",
    b'{"image":"busybox","inputs":{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}}",
    b'{"image":"busybox","inputs":{"a":' + b"9" * 5000 + b"}}",
    b'{"image":"busybox","priority":' + b"9" * 400 + b"}",
    b'{"image":"busybox","constraints":{"cpu":-1}}',
    b'{"image":"busybox","constraints":{"cpu":true}}',
    b'{"image":"busybox","constraints":{"cpu":0.25}}',
    b'{"image":"busybox","timeout_s":-1}',
    b'{"image":"Busy Box; rm -rf /"}',
    b'{"image":"busybox","id":"../../etc"}',
    b'{"image":"busybox","inputs":{"a":"' + b"x" * 1_100_000 + b'"}}',
    b'{"image":',
    b"\xff\xfe",
    b"[]",
    b"",
    b"null",
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:60]))
def test_what_cannot_be_stored_is_refused_at_the_door(gyoza: Cluster, body: bytes) -> None:
    reply = gyoza.client.post("/runs", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid")
    assert len(reply.content) < 4000
    assert "sys." not in reply.text, "no advice to programmers"
    assert gyoza.get("/runs") == []


def test_a_run_with_the_deepest_inputs_allowed_can_be_read_again(gyoza: Cluster) -> None:
    deep: Any = 1
    for _ in range(62):
        deep = [deep]
    run = gyoza.submit(inputs={"deep": deep, "big": 10**3999, "text": "\x00\U0001f95f", "n": 1.5})
    assert gyoza.run(run["id"])["inputs"]["deep"] == deep


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/runs", 4 * MIB),
        ("/definitions", 4 * MIB),
        ("/definitions/a/runs", 4 * MIB),
        ("/runs/a/events", REQUEST_MAX),
        ("/workers/heartbeat", 2 * MIB),
        ("/workers/w1/claim", 2 * MIB),
        ("/health", EVENT_MAX),
    ],
)
def test_a_body_over_the_limit_is_refused_before_the_parser(gyoza: Cluster, path: str, most: int) -> None:
    """By its announced length, before it is read; or when so much of it has come."""
    for body in (b" " * (most + 1), iter([b" " * most, b" "])):
        reply = gyoza.client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (413, "limit")
    reply = gyoza.client.post(path, content=b" " * most, headers={"Content-Type": "application/json"})
    assert reply.status_code in (405, 422)


def test_a_large_body_is_read_as_a_small_one(gyoza: Cluster) -> None:
    """It is read on another way, by a process of its own."""
    big = {"text": "x" * 100_000, "\u00fc": ["\u00fc", 1.5, True, None]}
    assert gyoza.submit(inputs=big)["inputs"] == big
    faults = {
        b"[" + b"[]," * JSON_BRACKETS_MAX + b"0]": "more than 1000000 lists and objects",
        b"1e999": "inf is not a JSON number",
        b"NaN": "expected value",
        b'"\\ud800"': "hex escape",
        b"[" * 70 + b"]" * 70: "nested deeper",
        b"9" * 5000: "number out of range",
    }
    for value, words in faults.items():
        body = b'{"image":"busybox","inputs":{"a":%s,"b":"%s"}}' % (value, b"x" * 100_000)
        reply = gyoza.client.post("/runs", content=body, headers={"Content-Type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid")
        assert words in reply.json()["detail"]
    said = gyoza.post("/runs", {"image": "busybox", "priority": "high", "timeout_s": -1, "inputs": big}, 422)["detail"]
    assert "priority: " in said
    assert "timeout_s: " in said


def test_megabytes_are_written_off_the_event_loop(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    original = stored_json.written

    def noted(write: Any) -> bytes:
        threads.append(threading.current_thread().name.partition("_")[0])
        return original(write)

    monkeypatch.setattr(answers, "written", noted)
    run = gyoza.submit(inputs={"text": "x" * 100_000})
    for path in (f"/runs/{run['id']}", "/runs", "/definitions"):
        gyoza.get(path)
    assert threads == ["gyoza-read"] * 4


def test_stored_json_is_answered_as_it_is_stored(gyoza: Cluster, tmp_path: Path) -> None:
    worker = gyoza.worker()
    gyoza.submit(inputs={"a": 1}, event_delivery={"topic": "t"})
    [run] = worker.take()
    worker.report(run, "STARTED", payload={"b": 2})
    worker.report(run, "COMPLETED", payload={"c": 3})
    odd = {"inputs": '{"a":1.50}', "payload": '{"b" : 2}', "outputs": '{"c":"\\u0061"}'}
    with sqlite3.connect(tmp_path / "server.db") as file:
        file.execute("UPDATE runs SET inputs = ?", (odd["inputs"],))
        file.execute("UPDATE attempts SET outputs = ?", (odd["outputs"],))
        file.execute("UPDATE events SET payload = ? WHERE type = 'STARTED'", (odd["payload"],))
    whole, listed, feed = (gyoza.client.get(path).text for path in (f"/runs/{run['id']}", "/runs", "/topics/t/events"))
    for text, counts in ((whole, (2, 2, 4)), (listed, (1, 0, 1)), (feed, (0, 1, 1))):
        assert tuple(text.count(odd[name]) for name in ("inputs", "payload", "outputs")) == counts


def test_each_stored_json_is_checked_once_for_an_answer(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = gyoza.worker()
    gyoza.submit(inputs={"a": 1})
    [run] = worker.take()
    worker.report(run, "STARTED")
    worker.report(run, "COMPLETED", payload={"c": 3})
    checked: list[str] = []

    def is_json(text: str) -> bool:
        checked.append(text)
        return True

    monkeypatch.setattr(stored_json, "_is_json", is_json)
    whole = gyoza.run(run["id"])
    assert [event.get("payload") for event in whole["events"]] == [{"worker_id": "w1"}, None, {"c": 3}]
    assert sorted(checked) == ['{"a":1}', '{"c":3}', '{"worker_id":"w1"}']


def test_a_fault_does_not_repeat_what_was_sent(gyoza: Cluster) -> None:
    body = {"image": "busybox", "secret_env": {"TOKEN": ["hunter2"]}}
    assert "hunter2" not in json.dumps(gyoza.post("/runs", body, 422))


def test_a_full_disk_is_told_and_forgotten(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    gyoza.submit()
    pages = "PRAGMA max_page_count = {}"

    def limit(count: int) -> None:
        gyoza.shared.database.submit(lambda tx: tx.connection.exec_driver_sql(pages.format(count)).close()).result(15)

    limit(1)
    reply = gyoza.client.post("/runs", json={"image": "busybox", "inputs": {"a": "x" * 500_000}})
    assert (reply.status_code, reply.json()["code"]) == (503, "busy")
    worker.beat()
    limit(10**6)
    assert len(gyoza.get("/runs")) == 1
    gyoza.submit()
    assert len(worker.take(5)) == 2


def test_every_answer_names_the_server_and_a_wrong_path_has_no_code(gyoza: Cluster) -> None:
    for path in ("/health", "/runs/none", "/nowhere", "/runs?limit=0"):
        assert gyoza.client.get(path).headers["X-Server-Id"] == gyoza.shared.database.server_id
    assert gyoza.get("/nowhere", 404) == {"detail": "Not Found", "code": None}
    assert gyoza.client.put("/runs").status_code == 405
    health = gyoza.get("/health")
    assert (health["status"], health["protocol"]) == ("ok", 1)
    assert health["server_time"].endswith("Z")


def test_the_examples_of_the_documentation_are_real(gyoza: Cluster) -> None:
    gyoza.post("/definitions", examples.DEFINITION)
    gyoza.post("/definitions/classify-op/runs", examples.DEFINITION_RUN, 201)
    run = gyoza.post("/runs", examples.RUN, 201)
    gyoza.post("/workers/heartbeat", examples.BEAT | {"features": ["wanted_state"]})
    assert gyoza.client.patch("/workers/gpu-box-1", json=examples.WANTED).status_code == 200
    gyoza.post("/workers/gpu-box-1/claim", examples.CLAIM | {"wait_s": 0})
    for body in (examples.EVENT, examples.EVENT_LIST):
        assert gyoza.post(f"/runs/{run['id']}/events", body, 409)["code"] == "not_yours"
    for name in ("priority", "cancel", "retry"):
        gyoza.patch(run["id"], **examples.PATCHES[name]["value"])
    for text in ("/docs", "/openapi.json"):
        assert gyoza.client.get(text).status_code == 200
    schema = gyoza.get("/openapi.json")
    for path in schema["paths"].values():
        for operation in path.values():
            assert operation["description"], operation


def test_a_filter_finds_what_the_screen_would_find(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    topic = {"event_delivery": {"topic": "nightly"}}
    gyoza.submit(id="claimed", image="registry.local/train:2", **topic)
    worker.take()
    gyoza.submit(id="waits", image="busybox")
    gyoza.submit(id="ended", image="busybox", **topic)
    gyoza.client.patch("/runs/ended", json={"state": "CANCELLED", "reason": "wrong input"})

    def found(text: str, **more: Any) -> list[str]:
        return [run["id"] for run in gyoza.get("/runs", filter=text, **more)]

    assert found("") == ["ended", "waits", "claimed"]
    assert found("state:queued") == found("state:pending") == ["waits"]
    assert found("state:assigned,cancelled") == ["ended", "claimed"]
    assert found("-state:cancelled") == ["waits", "claimed"]
    assert found("op:Train") == found("train") == found("worker:W1") == ["claimed"]
    assert found("topic:night") == ["ended", "claimed"]
    assert found("topic:night", topic="nightly", worker_id="w1") == ["claimed"]
    assert found("run:WA") == ["waits"]
    assert found('"wrong input"') == ["ended"]
    assert found("since:2099-01-01") == ["waits", "claimed"], "what goes on counts as of now"
    assert "no state" in gyoza.get("/runs", 422, filter="state:done")["detail"]


def test_children_are_listed_by_their_parent(gyoza: Cluster) -> None:
    worker = gyoza.worker()
    parent, other = (worker.start_parent(id=name) for name in ("Parent", "other"))
    for name in ("first", "second"):
        worker.submit(parent, id=name)
    worker.submit(other, id="third")
    gyoza.patch("first", state="CANCELLED")

    def found(**query: Any) -> list[str]:
        return [run["id"] for run in gyoza.get("/runs", **query)]

    assert found(parent="Parent") == found(filter="parent:par") == found(filter="parent:=Parent") == ["second", "first"]
    assert found(parent="Parent", state="CANCELLED") == found(filter="parent:P state:cancelled") == ["first"]
    assert found(parent="Parent", filter="state:queued") == found(parent="Parent", filter="run:second") == ["second"]
    assert found(parent="Par") == found(filter="parent:=Par") == found(filter="parent:arent") == []
    assert found(parent="Parent", filter="parent:=other") == []
    assert found(filter="parent:other,parent") == ["third", "second", "first"]
    assert found(filter="-parent:parent run:first,third") == ["third"]
    page = gyoza.client.get("/runs", params={"parent": "Parent", "limit": 1})
    after = page.headers["X-Next-Cursor"]
    assert found(parent="Parent", limit=1, after=after) == ["first"]


def test_a_filtered_list_goes_on_behind_what_was_looked_at(gyoza: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_list, "LOOKED_AT_MAX", 2)
    for n in range(7):
        gyoza.submit(id=f"run{n}", image="even" if n % 4 == 0 else "odd")
    seen, pages = [], 0
    wanted = {"filter": "even", "limit": "1"}
    while True:
        reply = gyoza.client.get("/runs", params=wanted)
        seen += [run["id"] for run in reply.json()]
        pages += 1
        if (cursor := reply.headers.get("X-Next-Cursor")) is None:
            break
        wanted["after"] = cursor
    assert seen == ["run4", "run0"]
    assert pages > len(seen)
