"""Runs that an op creates: `gyoza_op.py` as an author has it, at the socket of a worker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gyoza_tui.op
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.worker.op_channel import messages
from gyoza_tui.worker.op_channel.messages import Wait
from gyoza_tui.worker.op_channel.op_channel import SOCKET
from tests.scripted_server import refusal
from tests.waiting import until
from tests.worker.op_channel.desk import Desk

HEAD = "from gyoza_op import *\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "state") as desk:
        yield desk


class Author:
    def __init__(self, root: Path, desk: Desk) -> None:
        self.root = root
        self.desk = desk
        self.row = desk.row()
        shutil.copy(gyoza_tui.op.__file__, root / "gyoza_op.py")
        self.variables = desk.variables(self.row)

    def begins(self, *arguments: str) -> subprocess.Popen[str]:
        argv = [sys.executable, *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=self.root, env=self.variables, stdout=pipe, stderr=pipe, text=True)

    def runs(self, text: str) -> subprocess.CompletedProcess[str]:
        """A script to its end."""
        return self.shell("-c", HEAD + text)

    def shell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.begins(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def author(tmp_path: Path, desk: Desk) -> Author:
    return Author(tmp_path, desk)


def ends_at_once(desk: Desk, state: str = "COMPLETED", **more: Any) -> None:
    """Whatever is created has ended by then; its outputs are its inputs."""
    desk.server.on_create = lambda request: desk.server.end(
        request["id"], state, **({"outputs": request["inputs"]} | more)
    )


def test_as_the_documentation_has_it(author: Author, desk: Desk) -> None:
    ends_at_once(desk)
    said = author.runs("""
children = [submit("embed@1", {"shard": i}) for i in range(20)]
print(sorted(child.result()["shard"] for child in as_completed(children)), children[0].done(), children[0].state())
print(len(wait(children).done), children[1].exception())
""")
    assert said.stdout == f"{list(range(20))} True COMPLETED\n20 None\n", said.stderr
    assert desk.waiting.calls == []


def test_it_waits_until_the_worker_says_so(author: Author, desk: Desk) -> None:
    text = 'a, b = submit("a@1"), submit("b@1")\nfor c in as_completed([a, b]): print(c.id)'
    process = author.begins("-c", HEAD + text)
    until(lambda: desk.waiting.calls, "it waits")
    first, second = [each["id"] for each in desk.server.created]
    desk.tell(second)
    until(lambda: len(desk.waiting.calls) == 3, "it waits again")
    desk.tell(first)
    out, err = process.communicate(timeout=30)
    assert out.split() == [second, first], err


def test_children_are_named_once(author: Author, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[object] = []

    def noted(line: bytes) -> object:
        message = parse(line)
        if isinstance(message, Wait):
            named.append(message.children and len(message.children))
        return message

    parse = messages.parse
    monkeypatch.setattr(messages, "parse", noted)
    text = 'print(len(list(as_completed([submit("b@1") for n in range(3)]))))'
    process = author.begins("-c", HEAD + text)

    def begins() -> int:
        return len([call for call in desk.waiting.calls if call[0] == "begin"])

    until(lambda: begins() == 1, "it waits")
    desk.tell(desk.server.created[0]["id"])
    until(lambda: begins() == 2, "it waits for the rest")
    for made in desk.server.created[1:]:
        desk.tell(made["id"])
    assert process.communicate(timeout=30)[0] == "3\n"
    assert named[0] == 3
    assert set(named[1:]) == {None}


def test_equal_calls_are_different_children_and_a_key_names_one(author: Author, desk: Desk) -> None:
    text = 'print(*[submit("a@1", {"n": 1}).id for _ in range(3)], submit("a@1", {"n": 2}).id)'
    first, second = author.runs(text).stdout.split(), author.runs(text).stdout.split()
    assert len({*first, *second}) == 8, "in another process of the same attempt too"
    text = 'print(*[submit("a@1", {"n": n}, key="k").id for n in range(3)])'
    assert len(set(author.runs(text).stdout.split() + author.runs(text).stdout.split())) == 1


def test_another_attempt_gets_the_children_of_this_one(author: Author, desk: Desk) -> None:
    text = 'print(*[submit("a@1", {"n": n // 2}).id for n in range(4)])'
    first = author.runs(text).stdout.split()
    author.variables = desk.variables(desk.row(key=2))
    assert author.runs(text).stdout.split() == first


@pytest.mark.parametrize(("state", "name"), [("FAILED", "RunFailed"), ("CANCELLED", "RunCancelled")])
def test_a_child_that_has_not_completed_is_an_exception(state: str, name: str, author: Author, desk: Desk) -> None:
    ends_at_once(desk, state)
    said = author.runs("""
child = submit("a@1")
print(type(child.exception()).__name__)
try:
    child.result()
except RunFailed as failed:
    print(type(failed).__name__, failed.id == child.id, failed.state)
""")
    assert said.stdout == f"{name}\n{name} True {state}\n", said.stderr


def test_what_is_refused_is_an_exception_with_the_servers_words(author: Author, desk: Desk) -> None:
    desk.server.scripted.script("other", refusal(400, "inputs", "n is required (int); 'm' is not an input of a"))
    said = author.runs("""
for call in (lambda: submit("a@1", {"m": 1}), lambda: submit("a b"), lambda: submit("a@1", {"x": "y" * 2_000_000}),
             lambda: submit("a@1", {"x": {1}}), lambda: Child("other").state(), lambda: wait([Child("other")])):
    try:
        call()
    except (SubmitRefused, TypeError) as refused:
        print(refused)
""")
    expected = ["n is required (int); 'm' is not", "'a b'", "bytes", "the input 'x' cannot be written", "not a child"]
    for words, line in zip([*expected, "not a child"], said.stdout.splitlines(), strict=True):
        assert words in line
    assert len(desk.server.created) == 0


def test_times_that_are_over(author: Author, desk: Desk) -> None:
    said = author.runs("""
child = submit("a@1")
print(wait([child], timeout=0.05) == (set(), {child}))
for call in (lambda: child.result(0.05), lambda: list(as_completed([child], 0.05))):
    try:
        call()
    except TimeoutError as over:
        print(over)
""")
    assert said.stdout.splitlines()[0] == "True", said.stderr
    assert "has not ended within 0.05 s" in said.stdout
    assert "1 of 1 children have not ended in time" in said.stdout


def test_a_child_that_ends_before_a_slot_is_free_has_not_timed_out(author: Author, desk: Desk) -> None:
    desk.waiting.gate_is_open = False
    process = author.begins("-c", HEAD + 'print(submit("a@1").result(0.05))')
    until(lambda: desk.waiting.at_gate, "its time is over")
    desk.server.end(desk.server.created[0]["id"], outputs={"n": 1})
    desk.waiting.at_gate[0]()
    out, err = process.communicate(timeout=30)
    assert out == "{'n': 1}\n", err


def test_how_many_ends_a_wait_takes(author: Author, desk: Desk) -> None:
    desk.server.on_create = lambda request: (
        desk.server.end(request["id"], request["inputs"]["state"]) if request["inputs"] else None
    )
    said = author.runs("""
done, failed, going = submit("a@1", {"state": "COMPLETED"}), submit("a@1", {"state": "FAILED"}), submit("a@1")
print(len(wait([done, going], return_when=FIRST_COMPLETED).done), done.done())
print(len(wait([done, going], 0.05, FIRST_EXCEPTION).done), len(wait([done, failed, going], 60, FIRST_EXCEPTION).done))
print(len(wait([done, going], 0.05).not_done), len(wait([]).done), list(as_completed([])))
""")
    assert said.stdout == "1 True\n1 2\n1 0 []\n", said.stderr


def test_a_worker_that_is_started_again_is_waited_for(author: Author, desk: Desk) -> None:
    text = 'child = submit("a@1")\nprint(1, flush=True)\nprint(child.result())\nprint(submit("b@1").state())'
    process = author.begins("-c", HEAD + text)
    until(lambda: desk.waiting.calls, "it waits")
    desk.channel.close(author.row.key)
    child = desk.server.created[0]["id"]
    desk.server.end(child, outputs={"n": 1})
    until(lambda: not desk.channel.waited_for("scripted"), "the worker is gone")
    desk.variables(author.row)
    out, err = process.communicate(timeout=30)
    assert out == "1\n{'n': 1}\nPENDING\n", err


def test_threads_wait_on_connections_of_their_own(author: Author, desk: Desk) -> None:
    ends_at_once(desk)
    said = author.runs("""
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(lambda n: submit("a@1", {"n": n}).result()["n"], range(40))))
""")
    assert said.stdout == "780\n", said.stderr
    assert len({each["id"] for each in desk.server.created}) == 40


def test_a_fork_has_connections_of_its_own(author: Author, desk: Desk) -> None:
    ends_at_once(desk)
    said = author.runs("""
import os
submit("a@1")
if (pid := os.fork()) == 0:
    print([submit("a@1", {"n": n}).result()["n"] for n in range(20)], flush=True)
    os._exit(0)
print([submit("a@1", {"n": n}).result()["n"] for n in range(20)], flush=True)
os.waitpid(pid, 0)
""")
    assert said.stdout == f"{list(range(20))}\n" * 2, said.stderr


def test_cancel(author: Author, desk: Desk) -> None:
    assert author.runs('child = submit("a@1")\nprint(child.cancel(), child.state(), child.cancel())').stdout == (
        "True CANCELLED True\n"
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "there is no server: only a run of a gyoza worker can create runs"),
        ({"GYOZA_RUN_ID": "r"}, "this run may not create runs: set may_submit in its definition"),
        ({"GYOZA_RUN_ID": "r", "GYOZA_NO_SOCKET": "it needs docker_io=bind"}, "it needs docker_io=bind"),
    ],
)
def test_where_no_run_can_be_created(variables: dict[str, str], words: str, author: Author) -> None:
    author.variables = variables
    said = author.runs('try:\n    submit("a@1")\nexcept NotUnderGyoza as why:\n    print(why)')
    assert said.stdout.startswith(words), said.stderr
    assert author.shell("gyoza_op.py", "submit", "a@1").stderr.startswith(words)


def test_in_a_shell(author: Author, desk: Desk) -> None:
    ends_at_once(desk)
    shell = "gyoza_op.py"
    said = author.shell(shell, "submit", "embed@1", "shard=3", "name=x", "--wait")
    assert (said.returncode, json.loads(said.stdout)) == (0, {"shard": 3, "name": "x"}), said.stderr
    said = author.shell(
        shell, "submit", "embed@1", "shard=4", "--key", "k", "--retry", "2", "--timeout", "9", "--detach"
    )
    child = said.stdout.strip()
    created = desk.server.created[-1]
    assert (created["id"], created["retry_policy"]["max_attempts"]) == (child, 3)
    assert (created["timeout_s"], created["detach"]) == (9, True)
    assert json.loads(author.shell(shell, "result", child).stdout) == {"shard": 4}
    assert author.shell(shell, "state", child).stdout == "COMPLETED\n"
    assert author.shell(shell, "wait", child).returncode == 0
    assert author.shell(shell, "cancel", child).returncode == 1
    refused = author.shell(shell, "state", "other")
    assert (refused.returncode, refused.stderr) == (2, "'other' is not a child of this run\n")
    ends_at_once(desk, "FAILED")
    failed = author.shell(shell, "submit", "embed@1", "--wait")
    assert (failed.returncode, failed.stdout, "is FAILED" in failed.stderr) == (1, "", True)


def test_a_run_that_may_create_runs_of_definitions_only(author: Author, desk: Desk) -> None:
    author.variables = desk.variables(desk.row(MaySubmit.DEFINITIONS, key=3))
    assert SOCKET in author.variables
    said = author.shell("gyoza_op.py", "submit", "busybox")
    assert (said.returncode, "may submit definitions only" in said.stderr) == (2, True)


def test_a_fork_asks_while_another_thread_puts_its_connection_back(author: Author) -> None:
    done = author.runs(
        """
import os, signal, threading, gyoza_op
child = submit("embed@1")
ours, putting, go = os.getpid(), threading.Event(), threading.Event()
class Slow(list):
    def append(self, line):
        if os.getpid() == ours:
            putting.set()
            go.wait()
        super().append(line)
gyoza_op._lines = Slow()
thread = threading.Thread(target=child.state)
thread.start()
putting.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(10)
    child.state()
    os._exit(0)
print(os.waitpid(pid, 0)[1])
go.set()
thread.join()
"""
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
