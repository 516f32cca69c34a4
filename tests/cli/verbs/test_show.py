"""`show`: all about a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.journal.row import Outcome
from gyoza_tui.worker.state_dir.state_dir import StateDir
from tests.cli.conftest import Verb
from tests.cli.stage import Actor
from tests.servers import ServerThread

SPEC = {
    "command": ["sh", "-c", "echo \x1b[31m"],
    "inputs": {"n": 3},
    "constraints": {"cpu": 2, "ram_mb": 512},
    "env": {"LANG": "C"},
    "secret_env": {"TOKEN": "hunter2"},
    "tags": [],
    "timeout_s": 90,
    "event_delivery": {"topic": "nightly"},
}


def test_a_run_that_failed_and_was_tried_again(verb: Verb, served: ServerThread) -> None:
    actor = Actor(served.client)
    actor.fail("abc", **SPEC)
    assert verb("retry", "abc").code == 0
    again = actor.claim("abc")
    actor.say(again, "STARTED")
    for percent in (1, 7, 42):
        actor.say(again, "PROGRESS", percent)
    actor.say(again, "INFO", "epoch 3", {"loss": 0.5})
    actor.say(again, "COMPLETED", None, {"score": 7})
    out = verb("show", "ab").out
    assert "\x1b" not in out
    for words in (
        "run      abc\n",
        "state    COMPLETED (100%)\n",
        "needs    cpu 2, ram 512 MB\n",
        'env      {"LANG": "C", "TOKEN": "***"}\n',
        "timeout  1m30s\n",
        "topic    nightly\n",
        "priority 5\n",
        "worker   actor\n",
        "inputs\n  n = 3\noutputs\n  score = 7\n",
        "  failed: op_error, exit 3: no good\n    | before\n    | the last line␛[2J\n",
        'INFO epoch 3 {"loss": 0.5}\n',
    ):
        assert words in out
    assert re.search(r"^  \+\S+s PROGRESS 42%, since PROGRESS 1% at \+\S+s$", out, re.MULTILINE)
    assert "7%" not in out
    assert re.search(r"^created  \S+s ago$", out, re.MULTILINE)
    assert re.search(r"^attempt 1: FAILED on actor, started \S+s ago, took \S+s$", out, re.MULTILINE)
    assert re.search(r"^attempt 2: COMPLETED on actor, started", out, re.MULTILINE)
    assert re.search(r"^  \+0.0s RETRIED", out, re.MULTILINE)


def test_a_cancel_is_told_once(verb: Verb, served: ServerThread) -> None:
    actor = Actor(served.client)
    run = actor.start("abc")
    assert verb("cancel", "abc").code == 0
    actor.say(run, "CANCELLED", "cancelled at the server")
    out = verb("show", "abc").out
    assert out.count("CANCELLED cancelled") == 1
    assert len([one for one in served.client.get_run("abc").events if one.type == "CANCELLED"]) == 2


def test_exact_times(verb: Verb, served: ServerThread) -> None:
    Actor(served.client).complete("abc")
    out = verb("show", "abc", "--utc").out
    exact = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.search(rf"^created  {exact}$", out, re.MULTILINE)
    assert re.search(rf"^attempt 1: COMPLETED on actor, started {exact}, took", out, re.MULTILINE)
    assert re.search(rf"^  {exact} STARTED$", out, re.MULTILINE)
    assert " ago" not in out


@pytest.fixture
def journal(clean_environment: Path) -> Journal:
    state_dir = StateDir.open(clean_environment / "state", "desk")
    journal = Journal(state_dir.journal, SystemClock())
    row = journal.take("s", OpRun(id="abc", image="busybox", attempt=1, lease="l"), "docker")
    for step in ("prepare_inputs", "run_container"):
        journal.begin_step(row.key, step)
    journal.finish(row.key, Outcome.COMPLETED, "", [])
    journal.update(row.key, cleaned=True)
    state_dir.close()
    return journal


def test_the_steps_of_a_worker_of_this_machine(verb: Verb, served: ServerThread, journal: Journal) -> None:
    Actor(served.client, "desk").complete("abc")
    journal.close()
    Actor(served.client, "elsewhere").complete("other")
    assert re.search(r"^  steps: inputs \S+s, container \S+s$", verb("show", "abc").out, re.MULTILINE)
    assert "steps" not in verb("show", "other").out


def test_the_step_that_was_not_done(verb: Verb, served: ServerThread, journal: Journal) -> None:
    row = journal.take("s", OpRun(id="gone", image="busybox", attempt=1, lease="l"), "docker")
    for step in ("pull_latest_image", "cleanup_op_dir"):
        journal.begin_step(row.key, step)
    journal.finish(row.key, Outcome.RELEASED, "no such registry", [])
    journal.close()
    Actor(served.client, "desk").complete("gone")
    shown = verb("show", "gone").out
    assert re.search(r"^  steps: image \S+s \(not done: released\), cleanup goes on$", shown, re.MULTILINE)


def test_a_parent_its_children_and_what_it_waits_for(verb: Verb, served: ServerThread) -> None:
    actor = Actor(served.client, features=["waiting"])
    run = actor.start("dad", may_submit="any")
    parent = {"run": "dad", "attempt": 1, "lease": run.lease}
    for number in range(22):
        actor.client.create_run("busybox", id=f"kid-{number:02}", parent=parent)
    actor.say(actor.claim("kid-00"), "STARTED")
    since = "2026-03-14T02:00:00Z"
    listed = {"id": "dad", "attempt": 1, "lease": run.lease, "waiting": {"left": 3, "of": 22, "since": since}}
    actor.client.heartbeat(worker_id=actor.name, features=["waiting"], running_ops=[listed], beat=1)
    out = verb("show", "dad", "--utc").out
    assert "state    WAITING (0%)\n" in out
    assert "rights   may_submit: any\n" in out
    assert f"waits    for 3 of 22 children, since {since}\n" in out
    children = out.splitlines()[out.splitlines().index("children") + 1 :]
    assert children[1].split()[:2] == ["RUNNING", "kid-00"], "what is at work first"
    assert children[2].split()[:2] == ["PENDING", "kid-21"]
    assert children[-1] == "there are more: gyoza-tui runs --parent dad"
    kid = verb("show", "kid-00").out
    assert ("parent   dad\n" in kid, "may_submit" in kid) == (True, False)
    rows = {line.split()[1]: line for line in verb("runs", "state:waiting,running").out.splitlines()}
    assert rows["dad"].startswith("WAITING")
    assert "waits for 3 of 22 children" in rows["dad"]
    assert verb("runs", "state:waiting").out.count("dad") == 1
    assert "kid" not in verb("runs", "state:waiting").out
