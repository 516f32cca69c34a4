"""Nothing of a local op gets away, and nothing is started twice: trees, sessions, kill -9 of worker and of shim."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gyoza_tui.backends.base import AttemptPhase, BackendUnavailable, Exit, Handle, Stream
from gyoza_tui.backends.local import shim
from gyoza_tui.backends.local.cgroups import Cgroups
from tests.backends.local_ops import Bench, alive, python
from tests.waiting import until

# Each op prints the pids of what it starts as JSON, one line; the tests judge by /proc alone.
DAEMONS = """
import os, sys, time, json
kinds = sys.argv[1:]
r, w = os.pipe()
os.set_inheritable(w, True)
for kind in kinds:
    if os.fork() == 0:
        if kind != 'child':
            os.setsid()
            if os.fork():
                os._exit(0)
        env = dict(os.environ) if kind != 'cleaned' else {'PATH': '/usr/bin:/bin'}
        code = 'import os, signal, time; '
        if kind == 'deaf':
            code += 'signal.signal(15, signal.SIG_IGN); '
        code += f'os.write({w}, (str(os.getpid()) + chr(10)).encode()); time.sleep(600)'
        os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', code], env)
pids = b''
while pids.count(b'\\n') < len(kinds):
    pids += os.read(r, 1000)
print(json.dumps([int(p) for p in pids.split()]), flush=True)
if not os.environ.get('LEAVE'):
    time.sleep(600)
"""
KINDS = ["child", "session", "cleaned", "deaf"]
OPS = {
    "tree": [*python(DAEMONS), *KINDS],
    "deaf": python("import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"),
    "polite": python(
        "import signal, sys, time\n"
        "signal.signal(15, lambda *a: (print('bye', flush=True), sys.exit(5)))\n"
        "print('up', flush=True); time.sleep(600)"
    ),
    "forks": python(
        "import os, signal, sys, time\n"
        "signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n"
        "end = time.time() + 20\n"
        "while time.time() < end:\n"
        "    time.sleep(0.002)\n"
        "    if os.fork(): os._exit(0)\n"
    ),
    "count": python("import os, time; open(os.environ['COUNT'], 'a').write('x'); time.sleep(0.05); print('done')"),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "bench", OPS)
    yield bench
    bench.clear()


@pytest.fixture
def no_groups(bench: Bench) -> Bench:
    """Where no cgroup may be made, only the mark and the shim's orphans tell who belongs to an op."""
    bench.backend._creation._cgroups = lambda: Cgroups({})
    return bench


def started_tree(bench: Bench, **env: str) -> tuple[Handle, list[int]]:
    handle = bench.create("tree", env=env)
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT].endswith(b"\n"), "the tree is up")
    pids: list[int] = json.loads(collected.data[Stream.STDOUT])
    assert len(pids) == len(KINDS)
    return handle, pids


def test_stop_reaches_every_process_of_the_tree(no_groups: Bench) -> None:
    handle, pids = started_tree(no_groups)
    assert all(alive(pid) for pid in pids)
    no_groups.backend.stop(handle, 1.0)
    assert not any(alive(pid) for pid in pids)
    assert isinstance(no_groups.backend.state(handle), Exit)


def test_the_owner_of_a_process_is_the_attempt_that_started_it(no_groups: Bench) -> None:
    handle, pids = started_tree(no_groups)
    other = no_groups.create("polite")
    owners = [no_groups.backend.owner(pid, [other, handle]) for pid in pids]
    assert (owners.count(1), owners.count(None)) == (3, 1), "but for the daemon that dropped its environment"
    assert no_groups.backend.owner(os.getpid(), [other, handle]) is None
    assert no_groups.backend.owner(2**22 + 1, [other, handle]) is None


def test_what_the_op_leaves_running_ends_with_it(no_groups: Bench) -> None:
    handle, pids = started_tree(no_groups, LEAVE="1")
    ended = no_groups.ended(handle)
    assert (ended.code, ended.signal) == (0, None)
    assert not any(alive(pid) for pid in pids)


def test_a_polite_op_ends_in_its_own_way(bench: Bench) -> None:
    handle = bench.create("polite")
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "up")
    bench.backend.stop(handle, 10)
    ended = bench.ended(handle)
    assert (ended.code, ended.signal) == (5, None)
    assert collected.end() == b"up\nbye\n"


def test_a_shell_is_told_before_the_child_that_it_waits_for() -> None:
    command = ["/bin/sh", "-c", "sleep 600 & echo up; wait"]
    for number in range(64):
        mark = f"order-{os.getpid()}-{number}"
        env = {shim.MARK: mark}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, start_new_session=True) as shell:
            assert shell.stdout is not None
            shell.stdout.readline()
            order = list(shim.processes_of(mark, 0, []))
            shim.kill_all(mark, lambda: 0, [], 10)
        assert order[0] == shell.pid
        assert len(order) == 2
        if shell.pid % 8 == 7:
            return  # the next multiple of 8 is the first of a set of both
        if number % 3 == 0:
            subprocess.run(["true"], check=True)  # else each pid here might be an even one
    pytest.fail("no pair of pids that could be told in the wrong order")


def test_a_deaf_op_is_killed_after_its_grace(bench: Bench) -> None:
    handle = bench.create("deaf")
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "up")
    started = time.monotonic()
    bench.backend.stop(handle, 0.5)
    assert time.monotonic() - started < 20
    assert (bench.ended(handle).signal, bench.ended(handle).oom) == ("SIGKILL", False)


def test_a_process_that_forks_for_ever_is_caught(bench: Bench) -> None:
    handle = bench.create("forks")
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "up")
    # Its first process has ended long ago: the shim hunts already, or stop does.
    bench.backend.stop(handle, 0.2)
    attempt = bench.mark_of(handle)
    assert shim.processes_of(attempt, 0, []) == {}
    assert isinstance(bench.backend.state(handle), Exit)


def test_stop_before_the_start_and_twice_is_quiet(bench: Bench) -> None:
    handle = bench.create("deaf")
    bench.backend.stop(handle, 1)
    assert bench.backend.state(handle) is AttemptPhase.CREATED
    bench.backend.start(handle)
    bench.backend.stop(handle, 0)
    bench.backend.stop(handle, 0)
    assert bench.ended(handle).code == 137


def test_a_killed_shim_is_the_machines_fault_and_its_op_does_not_stay(no_groups: Bench) -> None:
    handle, pids = started_tree(no_groups)
    watcher = no_groups.backend.describe(handle)["watched_by_pid"]
    os.kill(watcher, signal.SIGKILL)
    until(lambda: isinstance(no_groups.backend.state(handle), Exit), "an end")
    ended = no_groups.ended(handle)
    assert ended.code is None
    assert "killed" in str(ended.machine_fault)
    marked = [pid for pid, kind in zip(sorted(pids), KINDS, strict=True) if alive(pid)]
    assert marked
    no_groups.backend.stop(handle, 0)
    mark = no_groups.mark_of(handle)
    assert shim.processes_of(mark, 0, []) == {}
    for pid in pids:
        # The one without mark, session and shim is beyond reach where there are no cgroups: said in the docs.
        if alive(pid) and b"GYOZA_MARK" in Path(f"/proc/{pid}/environ").read_bytes():
            raise AssertionError(f"{pid} is left")
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_signals_to_the_shim_do_not_end_it(bench: Bench) -> None:
    handle = bench.create("deaf")
    bench.backend.start(handle)
    watcher = bench.backend.describe(handle)["watched_by_pid"]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(watcher, number)
    assert bench.backend.wait(handle, 0.3) is AttemptPhase.RUNNING
    bench.backend.stop(handle, 0)
    assert bench.ended(handle).signal == "SIGKILL"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda boot, pid, since: f"another-boot {pid} {since}", "the machine was restarted"),
        (lambda boot, pid, since: f"{boot} {os.getpid()} {since}", "was killed"),
        (lambda boot, pid, since: f"{boot} {pid} {int(since) + 1}", "was killed"),
    ],
    ids=["reboot", "other pid", "pid used again"],
)
def test_a_pid_of_another_time_is_not_the_shim(bench: Bench, change: Callable[..., str], words: str) -> None:
    handle = bench.create("deaf")
    bench.backend.start(handle)
    bench.backend.stop(handle, 0)
    control = bench.control(handle)
    started = (control / shim.STARTED).read_text()
    (control / shim.END).unlink()
    (control / shim.STARTED).write_text(change(*started.split()) + "\n")
    ended = bench.backend.state(handle)
    assert isinstance(ended, Exit)
    assert words in str(ended.machine_fault)


WORKER = """
import sys
from pathlib import Path
from gyoza_tui.backends.base import BackendOptions, Spec
from gyoza_tui.backends.local.backend import LocalBackend
from gyoza_tui.backends.local.ops import read_ops
root, name, count = sys.argv[1:]
options = BackendOptions("w", sys.argv[0], Path(root) / "state", ops_file=Path(root) / "ops.toml")
backend = LocalBackend(options, read_ops(options.ops_file))
run_dir = Path(root) / "runs" / name
run_dir.mkdir(parents=True, exist_ok=True)
spec = Spec(name, "count", run_dir, env={"COUNT": count}, labels={"run": name})
print("ready", flush=True)
sys.stdin.readline()
handle = backend.create(spec)
backend.start(handle)
print("started", flush=True)
"""


def test_kill_9_of_the_worker_at_any_moment_is_one_start(bench: Bench, tmp_path: Path) -> None:
    """The worker is killed between nothing and well after the start; the next one repeats its calls."""
    rnd = random.Random(1)
    for i in range(15):
        name, count = f"gyoza-k{i}-1-abcdefgh", tmp_path / f"count{i}"
        argv = [sys.executable, "-c", WORKER, str(bench.root), name, str(count)]
        worker = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
        ends = time.monotonic() + rnd.random() * 0.08
        while time.monotonic() < ends:
            pass
        worker.kill()
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()
        spec = bench.spec("count", name=name, env={"COUNT": str(count)})
        handle = bench.another().create(replace(spec, labels={"run": name}))
        output = bench.collect(handle)
        bench.backend.start(handle)
        assert bench.ended(handle).code == 0
        assert count.read_text() == "x", "started more than once"
        assert output.end() == b"done\n"
        bench.backend.remove(handle)
    for half_made in (bench.root / "state" / "local").glob(".new-*"):
        os.utime(half_made, (0, 0))  # else it may be somebody's who is still making it
    bench.backend.prune({})


def test_an_op_outlives_its_worker(bench: Bench, tmp_path: Path) -> None:
    name, count = "gyoza-outlive-1-abcdefgh", tmp_path / "count"
    argv = [sys.executable, "-c", WORKER, str(bench.root), name, str(count)]
    worker = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(b"go\n")
    worker.stdin.flush()
    while worker.stdout.readline() != b"started\n":
        assert worker.poll() is None
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdin.close()
    worker.stdout.close()
    (found,) = bench.backend.find({"run": name})
    assert bench.ended(found.handle).code == 0
    assert bench.collect(found.handle).end() == b"done\n"


def test_a_shim_that_does_not_come_up_is_the_machines_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = bench.create("deaf")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(BackendUnavailable, match="no process can be started"):
        bench.backend.start(handle)
    monkeypatch.undo()
    assert bench.backend.state(handle) is AttemptPhase.CREATED
    bench.backend.start(handle)
    assert bench.backend.state(handle) is AttemptPhase.RUNNING
