"""What ends a parent, its wait or its children at a real worker, and what becomes of the rest of the family."""

from __future__ import annotations

import sqlite3
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from gyoza_tui.models.definitions import InputSpec, OpDefinition, ValueType
from gyoza_tui.models.limits import CHILDREN_MAX
from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import EventType, RunState
from tests.blackbox.families import copy_gyoza_op
from tests.blackbox.house import HeartbeatWatch, House, events_of, failure
from tests.commands import installed
from tests.waiting import until

HEAD = """
import os, pathlib, time
from gyoza_op import *
"""
CHILD = """
import os, pathlib, sys, time
from gyoza_op import *
room = pathlib.Path(ROOM) / inputs()["name"]
with room.with_suffix(".starts").open("a") as starts:
    print("start", file=starts)
if inputs()["name"] == "weak" and room.with_suffix(".starts").read_text().count("start") == 1:
    sys.exit(3)
if inputs()["name"] == "gated":
    while not room.with_suffix(".gate").exists():
        time.sleep(0.05)
outputs(name=inputs()["name"])
"""
Submit = Callable[..., OpRun]


@pytest.fixture
def submit(house: House) -> Submit:
    return parents_of(house)


def parents_of(house: House) -> Submit:
    """Submits a parent with this text; its children are `child@1` with a name: `weak` and `gated` do as that says."""
    copy_gyoza_op(house.root)
    child = _script(house, "child", CHILD.replace("ROOM", repr(str(house.root))))
    specs = {"name": InputSpec(type=ValueType.STRING)}
    house.client.upsert_definition(OpDefinition(id="child", version="1", image=child, input_specs=specs))
    parent = house.root / "parent.py"
    image = house.op("parent", sys.executable, str(parent))

    def made(text: str, **more: Any) -> OpRun:
        parent.write_text(HEAD + textwrap.dedent(text))
        return house.client.create_run(image, may_submit="definitions", **more)

    return made


def _script(house: House, name: str, text: str) -> str:
    file = house.root / f"{name}.py"
    file.write_text(text)
    return house.op(name, sys.executable, str(file))


def _children(house: House, parent: OpRun) -> dict[str, OpRun]:
    listed = house.client.list_runs(parent=parent.id).items
    return {run.inputs["name"]: house.client.get_run(run.id) for run in listed}


def _until_waiting(house: House, parent: OpRun) -> None:
    until(lambda: house.client.get_run(parent.id).waiting, "the parent waits", 60)


def _open(house: House) -> None:
    (house.root / "gated.gate").touch()


def test_a_next_attempt_opens_failed_children_again_and_has_the_completed_ones(house: House, submit: Submit) -> None:
    run = submit(
        """
        children = [submit("child@1", {"name": name}) for name in ("quick", "weak")]
        wait(children)
        outputs(names=[child.result()["name"] for child in children])
        """,
        retry_policy={"max_attempts": 2, "backoff_s": 0},
    )
    worker = house.worker(1)
    done = house.ended(run, 60)
    assert (done.state, done.current_attempt, done.outputs) == (RunState.COMPLETED, 2, {"names": ["quick", "weak"]})
    children = _children(house, run)
    assert {name: (child.state, child.current_attempt) for name, child in children.items()} == {
        "quick": (RunState.COMPLETED, 1),
        "weak": (RunState.COMPLETED, 2),
    }
    assert (house.root / "quick.starts").read_text() == "start\n"
    house.until_free(worker)


def test_the_last_attempt_of_a_parent_takes_its_children_with_it(house: House, submit: Submit) -> None:
    run = submit(
        """
        submit("child@1", {"name": "gated"})
        submit("child@1", {"name": "weak"}).result()
        """
    )
    worker = house.worker(2)
    done = house.ended(run, 60)
    assert (done.state, failure(done)["reason"]) == (RunState.FAILED, "op_error")
    until(lambda: _children(house, run)["gated"].state is RunState.CANCELLED, "its other child is cancelled")
    house.until_free(worker)


def test_the_time_of_a_parent_stands_still_while_it_waits_and_is_over_after_its_return(
    house: House, submit: Submit
) -> None:
    limit_s = 4
    run = submit(
        """
        submit("child@1", {"name": "gated"}).result()
        info("returned")
        time.sleep(1000)
        """,
        timeout_s=limit_s,
    )
    worker = house.worker(1)
    _until_waiting(house, run)
    over = time.monotonic() + limit_s + 2
    until(lambda: time.monotonic() > over, "more than its time", limit_s + 5)
    assert house.state(run) is RunState.RUNNING
    _open(house)
    done = house.ended(run, 60)
    assert (done.state, failure(done)["reason"]) == (RunState.FAILED, "timeout")
    assert "returned" in [event.msg for event in events_of(done, EventType.INFO)]
    assert _children(house, run)["gated"].state is RunState.COMPLETED
    house.until_free(worker)


def test_a_wait_whose_time_is_over_goes_on_beside_its_child(house: House, submit: Submit) -> None:
    """The child ends only after the wait has."""
    run = submit(f"""
        child = submit("child@1", {{"name": "gated"}})
        first = wait([child], timeout=1)
        pathlib.Path({str(house.root / "gated.gate")!r}).touch()
        try:
            again = child.result()["name"]
        finally:
            outputs(counts=[len(first.done), len(first.not_done)], name=again)
    """)
    worker = house.worker(2)
    done = house.ended(run, 60)
    assert (done.state, done.outputs) == (RunState.COMPLETED, {"counts": [0, 1], "name": "gated"})
    assert (done.current_attempt, _children(house, run)["gated"].current_attempt) == (1, 1)
    house.until_free(worker)


def test_a_parent_is_told_how_its_children_ended(house: House, submit: Submit) -> None:
    run = submit("""
        def end_of(name):
            try:
                submit("child@1", {"name": name}).result()
            except RunFailed as ended:
                return [type(ended).__name__, ended.state]
        outputs(ends=[end_of("weak"), end_of("gated")])
    """)
    worker = house.worker(1)
    gated = until(lambda: _children(house, run).get("gated"), "the second child", 60)
    house.until_state(gated, RunState.RUNNING)
    house.client.update_run(gated.id, state=RunState.CANCELLED)
    done = house.ended(run, 60)
    assert (done.state, done.current_attempt) == (RunState.COMPLETED, 1)
    assert done.outputs == {"ends": [["RunFailed", "FAILED"], ["RunCancelled", "CANCELLED"]]}
    house.until_free(worker)


def test_a_parent_waits_on_when_the_worker_of_its_child_is_lost(tmp_path: Path) -> None:
    """The lost one comes back when all is over, with the end of an attempt that nobody waits for."""
    with House(tmp_path, lease_s=4, grace_s=1, failover_s=1) as house:
        go = house.root / "go"
        run = parents_of(house)(f"""
            while not os.path.exists({str(go)!r}):
                time.sleep(0.05)
            outputs(name=submit("child@1", {{"name": "gated"}}).result()["name"])
        """)
        worker = house.worker(1)
        house.until_state(run, RunState.RUNNING)
        assert installed(house.root, "pause", worker.id).returncode == 0, "it takes no child"
        lost = house.worker(1)
        go.touch()
        _until_waiting(house, run)
        house.until_state(_children(house, run)["gated"], RunState.RUNNING)
        lost.kill()
        house.until_state(_children(house, run)["gated"], RunState.PENDING, within_s=60)
        assert installed(house.root, "resume", worker.id).returncode == 0
        house.until_state(_children(house, run)["gated"], RunState.RUNNING, within_s=60)
        _open(house)
        done = house.ended(run, 60)
        assert (done.state, done.current_attempt, done.outputs) == (RunState.COMPLETED, 1, {"name": "gated"})
        lost.start()
        house.until_ready(lost)
        house.until_free(worker, lost)
        child = _children(house, run)["gated"]
        assert (child.state, child.current_attempt) == (RunState.COMPLETED, 2)


@pytest.mark.long
def test_a_parent_that_locks_its_child_out_of_memory_is_given_back(house: House, submit: Submit) -> None:
    memory, most = 1000, {"ram_mb": 700}
    run = submit(
        f"""
        quick = submit("child@1", {{"name": "quick"}}).result()["name"]
        heavy = submit("child@1", {{"name": "heavy"}}, constraints={most}).result()["name"]
        outputs(names=[quick, heavy])
        """,
        constraints=most,
    )
    reserved = psutil.virtual_memory().total // 2**20 - memory
    worker = house.worker(2, GYOZA_RESERVE_RAM_MB=str(reserved))
    heavy = until(lambda: _children(house, run).get("heavy"), "the child that finds no memory", 60)
    house.until_state(heavy, RunState.RUNNING, RunState.COMPLETED, within_s=60)
    done = house.ended(run, 30)
    assert (done.state, done.current_attempt, done.outputs) == (
        RunState.COMPLETED,
        2,
        {"names": ["quick", "heavy"]},
    )
    assert [child.current_attempt for child in _children(house, run).values()] == [1, 1]
    assert (house.root / "quick.starts").read_text() == "start\n"
    house.until_free(worker)


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_parent_of_as_many_children_as_there_may_be(house: House, submit: Submit) -> None:
    """It is refused one more, and is cancelled with all of them while beats go on."""
    go = house.root / "go"
    run = submit(f"""
        child = submit("child@1", {{"name": "first"}}, constraints={{"cpu": 1000}})
        while not os.path.exists({str(go)!r}):
            time.sleep(0.05)
        try:
            submit("child@1", {{"name": "one more"}})
        except SubmitRefused as why:
            info(str(why))
        child.result()
    """)
    worker = house.worker(1)
    [first] = until(lambda: _children(house, run).values(), "its first child", 60)
    house.kill_server()
    _clone(house.root / "server.db", first, run, CHILDREN_MAX - 1)
    house.start_server()
    go.touch()
    until(lambda: f"at most {CHILDREN_MAX}" in str(house.client.get_run(run.id).events), "it is refused", 60)
    _until_waiting(house, run)
    with HeartbeatWatch(house.url, worker.id) as watch:
        house.client.update_run(run.id, state=RunState.CANCELLED)
        until(lambda: not house.client.list_runs(state=RunState.PENDING, limit=1).items, "all are cancelled", 120)
        house.until_free(worker)
    assert watch.late_s <= 1.0


def _clone(database: Path, child: OpRun, parent: OpRun, copies: int) -> None:
    """Siblings of a child that is PENDING, while no server has the database."""
    with sqlite3.connect(database) as db:
        for table, key in (("runs", "id"), ("attempts", "run_id")):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in (key, "seq")]
            names = ", ".join(f'"{name}"' for name in columns)
            db.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                f"INSERT INTO {table} ({key}, {names}) SELECT 'clone' || i, {names} FROM n, {table} WHERE {key} = ?",
                (copies, child.id),
            )
        db.execute("UPDATE runs SET children = ?, descendants = ? WHERE id = ?", (copies + 1, copies + 1, parent.id))
    db.close()
