"""Runs that wait for runs where one side knows nothing of it: an older worker at this server, an older server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from gyoza_tui.models.definitions import OpDefinition
from gyoza_tui.models.states import RunState
from tests.blackbox.families import check_each_ran_once, copy_gyoza_op, define_tree_of, submit_tree, whole_family
from tests.blackbox.house import House
from tests.commands import installed
from tests.fault_proxy import FaultProxy
from tests.scripted_server import Reply, Request
from tests.waiting import until
from tests.worker.test_minimal_server import MinimalWorker

KEPT = "runs that wait for their children keep their slots"
PARENT = """
from gyoza_op import outputs, submit
outputs(label=submit("child@1").result()["label"])
"""


class OlderServer(FaultProxy):
    """It has no `POST /ended`, and names no features in its answers to beats."""

    def answer(self, request: Request) -> Reply:
        if request.path == "/ended":
            self.note(request)
            return Reply({"detail": "Not Found"}, 404)
        reply = super().answer(request)
        if request.kind != "beat" or reply.status != 200 or not isinstance(reply.body, bytes):
            return reply
        told = json.loads(reply.body)
        del told["features"]
        return replace(reply, body=told)


@pytest.fixture
def older(house: House) -> Iterator[OlderServer]:
    """Workers made from here on speak to it."""
    with OlderServer(house.url) as made:
        house.url = made.url
        yield made


def test_at_an_older_server_a_wait_keeps_its_slot_and_ends(house: House, older: OlderServer) -> None:
    define_tree_of(house)
    worker = house.worker(2)
    parents = [submit_tree(house, [2], 0.3)]
    check_each_ran_once(whole_family(house, parents, 3, 60))
    parents.append(submit_tree(house, [1], 0.3))
    check_each_ran_once(whole_family(house, parents, 5, 60))
    assert worker.words.count(KEPT) == 1, worker.words
    beats = [op for request in older.of("beat") for op in request.body["running_ops"]]
    assert beats
    assert not any(op.get("waiting") or op.get("frozen") for op in beats)
    house.until_free(worker)


def test_an_older_worker_takes_the_child_of_a_run_that_waits_elsewhere(house: House) -> None:
    copy_gyoza_op(house.root)
    script = house.root / "parent.py"
    script.write_text(PARENT)
    image = house.op("parent", sys.executable, str(script))
    house.client.upsert_definition(OpDefinition(id="child", version="1", image="op"))
    worker = house.worker(1)
    parent = house.client.create_run(image, may_submit="definitions")
    house.until_state(parent, RunState.RUNNING)
    assert installed(house.root, "pause", worker.id).returncode == 0, "it takes no child"
    older = MinimalWorker(house.url)
    older.beat()
    [child] = until(older.claim, "the child", 60)
    assert child["parent_id"] == parent.id
    assert older.tell(child["id"], "STARTED").status_code == 200
    until(lambda: house.client.get_run(parent.id).waiting, "the parent waits", 60)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        house.client.update_run(child["id"], frozen=True, by="anna")
    assert older.beat({"id": child["id"], "image": "op", "inputs": {}, "constraints": {}}).status_code == 200
    assert older.tell(child["id"], "COMPLETED", {"label": "cat"}).status_code == 200
    done = house.ended(parent, 60)
    assert (done.state, done.outputs, done.current_attempt) == (RunState.COMPLETED, {"label": "cat"}, 1)
    house.until_free(worker)
